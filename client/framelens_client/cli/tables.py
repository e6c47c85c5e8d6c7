"""Answers as people read them in a terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from framelens_client.health import Health, ServingStatus
from framelens_client.results import Box, Match, RecognizedObject, Served, StoredProduct

_MATCHES_SHOWN = 3
# Columns that are never folded: a number in two lines is read as two.
_NUMBERS = ("score", "price")
_WIDTH_OF_FILES = 160


def console(*, stderr: bool = False) -> Console:
    """Wide enough that a file or a pipe gets each row on one line."""
    plain = Console(stderr=stderr)
    return plain if plain.is_terminal else Console(stderr=stderr, width=_WIDTH_OF_FILES)


def objects_table(objects: Sequence[RecognizedObject]) -> Table:
    """Each object with its box, and below it its best matches: in one column, so that 80 characters suffice."""
    table = _table("object, matches", *_NUMBERS, "merchant")
    for found in objects:
        table.add_row(*_cells(f"{found.label}  {_box(found.box)}", f"{found.score:.2f}"), style="bold")
        for match in found.matches[:_MATCHES_SHOWN]:
            name, *rest = _match_cells(match)
            table.add_row(Padding(printable(name), (0, 0, 0, 2)), *_cells(*rest))
        if not found.matches:
            table.add_row(Padding(printable(found.note or "no match"), (0, 0, 0, 2)))
    return table


def matches_left_out(objects: Sequence[RecognizedObject]) -> bool:
    """Whether objects_table shows fewer matches than there are."""
    return any(len(found.matches) > _MATCHES_SHOWN for found in objects)


def matches_table(matches: Iterable[Match]) -> Table:
    table = _table("match", *_NUMBERS, "merchant", "category", "url")
    for match in matches:
        table.add_row(*_cells(*_match_cells(match), match.category, match.url))
    return table


def products_table(products: Iterable[StoredProduct]) -> Table:
    table = _table("id", "title", "category", "price", "availability", "merchant", "pictures")
    for stored in products:
        product = stored.product
        price = _price(product.price, product.currency)
        count = str(len(stored.pictures))
        texts = (product.id, product.title, product.category, price, product.availability, product.merchant, count)
        table.add_row(*_cells(*texts))
    return table


def product_table(stored: StoredProduct) -> Table:
    product = stored.product
    table = Table.grid(padding=(0, 2))
    table.add_row("id", printable(product.id))
    for name in ("title", "url", "merchant", "category"):
        table.add_row(name, printable(getattr(product, name)))
    table.add_row("price", printable(_price(product.price, product.currency)))
    table.add_row("availability", printable(product.availability))
    table.add_row("boost", f"{product.boost:g}")
    for picture in stored.pictures:
        region = _box(picture.region) if picture.region else "whole picture"
        table.add_row("picture", printable(f"{picture.picture_id} ({region})"))
    return table


def health_table(address: str, health: Health) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("address", printable(address))
    for name in ("gateway", "visual_search", "catalog", "trials"):
        status: ServingStatus = getattr(health, name)
        table.add_row(name.replace("_", " "), Text(status, style="green" if status is ServingStatus.SERVING else "red"))
    for part, said in health.details.items():
        table.add_row(printable(part), printable(said))
    return table


def served_line(served: Served) -> Text:
    """The milliseconds of each stage, and what answered."""
    stages = " · ".join(f"{stage} {ms:.1f}" for stage, ms in served.stages_ms.items())
    engines = ", ".join(f"{engine.model}/{engine.version}" for engine in served.engines)
    canary = f"; canary: {served.candidate}" if served.candidate else ""
    stored = "; from stored moments" if served.source == "moments" else ""
    collections = ", ".join(served.collections)
    return Text(f"ms: {stages}\nengines: {engines}; collections: {collections}{canary}{stored}", style="dim")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in _NUMBERS)
    return table


def _cells(*texts: str) -> list[Text]:
    return [printable(text) for text in texts]


def printable(text: str) -> Text:
    """A catalogue's text on one line: it may hold markup, line feeds, or escape sequences meant for the terminal."""
    return Text("".join(char if char.isprintable() else "�" for char in text))


def jump_time(seconds: float) -> str:
    """Minutes and seconds to jump to in a video: not behind what is meant."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def _match_cells(match: Match) -> tuple[str, str, str, str]:
    """Name, score, price and merchant; a video's name says where to look in it."""
    if match.video is not None:
        name = f"{match.video.account}: {match.title} ({match.id}) at {jump_time(match.video.at_s)}"
        return name, f"{match.score:.3f}", "", ""
    return f"{match.title} ({match.id})", f"{match.score:.3f}", _price(match.price, match.currency), match.merchant


def _price(price: float | None, currency: str) -> str:
    return "" if price is None else f"{price:.2f} {currency}".strip()


def _box(box: Box) -> str:
    return f"{box.x_min:.2f},{box.y_min:.2f},{box.x_max:.2f},{box.y_max:.2f}"
