from pathlib import Path

from framelens_client.catalogue.batches import MAX_BYTES, MAX_PRODUCTS, batches
from framelens_client.catalogue.entries import Entry, Image
from framelens_client.results import Product


def entries(*sizes: int) -> list[Entry]:
    return [Entry(Product(str(n)), (Image("a", Path("a"), None, size, 0),), (n,)) for n, size in enumerate(sizes)]


def test_bounded_by_count() -> None:
    assert [len(batch) for batch in batches(entries(*[1] * 40))] == [MAX_PRODUCTS, MAX_PRODUCTS, 40 - 2 * MAX_PRODUCTS]


def test_bounded_by_bytes_and_in_order() -> None:
    half = MAX_BYTES // 2
    found = [[entry.size for entry in batch] for batch in batches(entries(half, half, 1, MAX_BYTES * 2, 1))]
    assert found == [[half, half], [1], [MAX_BYTES * 2], [1]]


def test_nothing_to_cut() -> None:
    assert list(batches([])) == []
