"""Packages of Debian and Ubuntu, fetched and unpacked without root."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


class PackageError(Exception):
    """A package cannot be fetched or unpacked; the message says which, and what to do."""


def unpack(names: Sequence[str], to: Path) -> None:
    """Unpacks the first of these packages that there is into a folder. Raises PackageError."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise PackageError(f"{' or '.join(names)} is a package of Debian and Ubuntu, and this machine has no apt-get")
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="framelens-package-") as folder:
        scratch = Path(folder)
        package = _downloaded(names, scratch)
        if failure := _run(["dpkg", "-x", str(package), str(to.resolve())], scratch):
            raise PackageError(f"dpkg could not unpack {package.name}; install it by hand:\n{failure}")


def _downloaded(names: Sequence[str], scratch: Path) -> Path:
    """The package file: from the package lists as they are, or else from lists fetched for this alone."""
    lists = scratch / "lists"
    (lists / "partial").mkdir(parents=True)
    own_lists = [f"-oDir::State::Lists={lists}", f"-oDir::Cache={scratch}"]
    said = ""
    for prepare, options in (([], []), (["apt-get", *own_lists, "update"], own_lists)):
        if prepare:
            said += _run(prepare, scratch)
        for name in names:
            said += _run(["apt-get", *options, "download", name], scratch)
            downloaded = sorted(scratch.glob("*.deb"))
            if downloaded:
                return downloaded[0]
    raise PackageError(f"apt-get could not download {' or '.join(names)}; install it by hand:\n{said.strip()}")


def _run(command: list[str], directory: Path) -> str:
    """What a failed command said; nothing where it succeeded."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return done.stderr or f"{command[0]} ended with status {done.returncode}" if done.returncode else ""
