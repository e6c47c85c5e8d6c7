"""Which videos FILE, DIR or LIST.csv means, and what is said of them."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from framelens_client.videos import Video

COLUMNS = ("file", "id", "account", "title", "url", "published")
_SUFFIXES = {".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One video to index; `problem` says why it cannot be."""

    file: Path
    video: Video
    problem: str = ""


def entries_of(path: Path, given: Video) -> list[Entry]:
    """What `given` leaves empty comes from the list, or from the file's name. Raises ClickException, UsageError."""
    if path.is_dir():
        _check_single(path, given)
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())
        if not files:
            raise click.ClickException(f"{path} holds no video ({', '.join(sorted(_SUFFIXES))})")
        entries = [Entry(file, replace(given, id=file.stem)) for file in files]
    elif path.suffix.lower() == ".csv":
        _check_single(path, given)
        entries = _listed(path, given.account)
    else:
        entries = [Entry(path, replace(given, id=given.id or path.stem))]
    if not given.account and not all(entry.video.account or entry.problem for entry in entries):
        raise click.UsageError("whose video is it? give --account, or a list with the column account")
    return _without_repeats(entries)


def published_at(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 date or time, in UTC where it names no zone. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _check_single(path: Path, given: Video) -> None:
    if given != Video("", given.account):
        raise click.UsageError(f"{path} may be several videos: --id, --title, --url and --published are of one FILE")


def _listed(path: Path, account: str) -> list[Entry]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="", restkey="")
            if "file" not in (reader.fieldnames or ()):
                raise click.ClickException(f"{path} has no column `file`; its first line names some of {COLUMNS}")
            return [_entry(path.parent, row, account) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} is no CSV in UTF-8: {error}") from error


def _entry(folder: Path, row: Mapping[str, str], account: str) -> Entry:
    text = {name: (row.get(name) or "").strip() for name in COLUMNS}
    file = folder / text["file"]
    video = Video(text["id"] or file.stem, text["account"] or account, text["title"], text["url"])
    if not text["file"] or not file.is_file():
        return Entry(file, video, "there is no such file")
    if not text["published"]:
        return Entry(file, video)
    try:
        return Entry(file, replace(video, published_at=published_at(text["published"])))
    except ValueError:
        return Entry(file, video, f"published {text['published']!r} is no date or time of ISO 8601")


def _without_repeats(entries: Iterable[Entry]) -> list[Entry]:
    """Two files with one id would replace each other, each time."""
    first: dict[str, Path] = {}
    checked = []
    for entry in entries:
        other = first.setdefault(entry.video.id, entry.file)
        repeats = other is not entry.file and not entry.problem
        checked.append(replace(entry, problem=f"its id {entry.video.id} is that of {other}") if repeats else entry)
    return checked
