"""Cuts entries into calls of bounded size."""

from collections.abc import Iterable, Iterator

from framelens_client.catalogue.entries import Entry

MAX_PRODUCTS = 16
MAX_BYTES = 16_000_000


def batches(entries: Iterable[Entry]) -> Iterator[tuple[Entry, ...]]:
    """In order; an entry that is too large for a batch by itself goes alone."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) == MAX_PRODUCTS or size + entry.size > MAX_BYTES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield tuple(batch)
