"""Sample pictures for demos, tests and parity: those that scikit-image carries in its wheel."""

import shutil
import zipfile
from pathlib import Path

from framelens_engines.progress import Reporter
from framelens_engines.wheels import SCIKIT_IMAGE, fetch

_FOLDER = "skimage/data/"
_SUFFIXES = (".png", ".jpg", ".gif")


def extract_samples(to: Path, cache: Path, reporter: Reporter) -> list[Path]:
    """Writes the pictures to `to` and returns their paths in order of name; those already there are left alone."""
    to.mkdir(parents=True, exist_ok=True)
    pictures = []
    with zipfile.ZipFile(fetch(SCIKIT_IMAGE, cache, reporter)) as archive:
        for entry in archive.infolist():
            if entry.filename.startswith(_FOLDER) and entry.filename.endswith(_SUFFIXES):
                picture = to / entry.filename.removeprefix(_FOLDER)
                if not picture.is_file() or picture.stat().st_size != entry.file_size:
                    _extract(archive, entry, picture)
                pictures.append(picture)
    return sorted(pictures)


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, picture: Path) -> None:
    partial = picture.with_suffix(picture.suffix + ".partial")
    with archive.open(entry) as source, partial.open("wb") as target:
        shutil.copyfileobj(source, target)
    partial.replace(picture)
