"""Videos and moments as people read them in a terminal."""

import time
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from framelens_client.cli.tables import printable
from framelens_client.videos import Moment, Span, StoredVideo, Track, VideoMoments


def videos_table(videos: Iterable[StoredVideo]) -> Table:
    table = _table("id", "account", "title", "length", "frames", "published")
    for stored in videos:
        video = stored.video
        texts = (_span_time(stored.duration_s), str(stored.frames), _date(video.published_at))
        table.add_row(*map(printable, (video.id, video.account, video.title, *texts)))
    return table


def video_report(stored: StoredVideo) -> RenderableType:
    """What is said of the video, and what was followed in it."""
    video, size = stored.video, stored.size
    grid = Table.grid(padding=(0, 2))
    for name in ("id", "account", "title", "url"):
        grid.add_row(name, printable(getattr(video, name)))
    grid.add_row("published", _date(video.published_at))
    grid.add_row("indexed", _date(stored.indexed_at))
    grid.add_row("length", f"{_span_time(stored.duration_s)}{f', {size.width}x{size.height}' if size else ''}")
    grid.add_row("frames", str(stored.frames))
    if stored.note:
        grid.add_row("note", printable(stored.note))
    return Group(grid, _tracks_table(stored.tracks)) if stored.tracks else Group(grid, "nothing was followed in it")


def moments_report(found: VideoMoments) -> RenderableType:
    """When the button shows, and the moments behind it."""
    if not found.moments:
        return Text("no moments: recognition is not to be offered in this video")
    table = _table("time", "label", "route", "salience", "score", "best at", "picture")
    for moment in found.moments:
        table.add_row(*map(printable, _moment_texts(moment)))
    button = ", ".join(_span(span) for span in found.button) or "never"
    return Group(Text(f"button: {button}", style="bold"), table)


def _tracks_table(tracks: Iterable[Track]) -> Table:
    table = _table("object", "label", "score", "seen", "best at", "picture")
    for track in tracks:
        seen = [sighting.at_s for sighting in track.sightings] or [track.at_s]
        texts = (f"{track.score:.2f}", _span(Span(seen[0], seen[-1])), _span_time(track.at_s), track.picture_id)
        table.add_row(*map(printable, (str(track.number), track.label, *texts)))
    return table


def _moment_texts(moment: Moment) -> tuple[str, ...]:
    return (
        _span(Span(moment.start_s, moment.end_s)),
        moment.label,
        moment.route,
        f"{moment.salience:.2f}",
        f"{moment.score:.2f}",
        _span_time(moment.at_s),
        moment.picture_id,
    )


def _span(span: Span) -> str:
    return f"{_span_time(span.start_s)}-{_span_time(span.end_s)}"


def _span_time(seconds: float) -> str:
    """Minutes and seconds, to the tenth."""
    minutes, tenths = divmod(round(seconds * 10), 600)
    return f"{minutes:02d}:{tenths / 10:04.1f}"


def _date(seconds: float | None) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
