"""Debian packages with pictures, fetched at run time and unpacked without root; nothing of them is redistributed."""

from collections.abc import Sequence
from pathlib import Path

from framelens_triton.debian_packages import unpack

# 161, 96, 47, 16, 8 and 94 MB.
PACKAGES = (
    "tuxpaint-stamps-default",
    "opencv-doc",
    "mate-backgrounds",
    "lomiri-wallpapers-16.04",
    "tuxpaint-data",
    "plasma-workspace-wallpapers",
)


def unpacked(packages: Sequence[str], into: Path) -> Path:
    """A folder that holds the files of all of them; those that are there are left alone. Raises PackageError."""
    root = into / "root"
    for package in packages:
        mark = into / f"{package}.unpacked"
        if not mark.exists():
            unpack([package], root)
            mark.touch()
    return root
