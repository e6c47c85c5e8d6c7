"""Debian packages with pictures, fetched at run time and unpacked without root; nothing of them is redistributed."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

# 161, 96, 47, 16, 8 and 94 MB.
PACKAGES = (
    "tuxpaint-stamps-default",
    "opencv-doc",
    "mate-backgrounds",
    "lomiri-wallpapers-16.04",
    "tuxpaint-data",
    "plasma-workspace-wallpapers",
)


class PackageFailure(Exception):
    """A package cannot be fetched or unpacked; the message says which and what to do."""


def unpacked(packages: Sequence[str], into: Path) -> Path:
    """A folder that holds the files of all of them; those that are there are left alone. Raises PackageFailure."""
    for tool in ("apt-get", "dpkg"):
        if not shutil.which(tool):
            raise PackageFailure(f"{tool} is not on this machine; the pictures come from packages of Debian or Ubuntu")
    root = into / "root"
    for package in packages:
        mark = into / f"{package}.unpacked"
        if not mark.exists():
            _unpack(package, root)
            mark.touch()
    return root


def _unpack(package: str, root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="framelens-package-") as scratch:
        _run(["apt-get", "download", package], Path(scratch), f"{package} could not be fetched; run `apt-get update`?")
        (archive,) = Path(scratch).glob("*.deb")
        _run(["dpkg", "-x", str(archive), str(root.resolve())], Path(scratch), f"{package} could not be unpacked")


def _run(command: Sequence[str], folder: Path, failure: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageFailure(f"{failure}\n{done.stderr.strip()[-1000:]}")
