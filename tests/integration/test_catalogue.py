"""The catalogue against the real index."""

from collections.abc import Callable

import pytest

from framelens_client import Box, Client, NotFound, Product, ProductUpsert, ReferencePicture

WHOLE = Box(0.0, 0.0, 1.0, 1.0)


def test_what_is_stored_comes_back(client: Client, upsert_of: Callable) -> None:
    wanted = upsert_of('o\'neill "5"\\ü', "moon.png", "coins.png", title="Mond", price=1.25, currency="EUR")
    assert client.upsert_products([wanted]).results[0].error is None
    stored = client.get_product(wanted.product.id)
    assert stored.product == wanted.product
    assert len(stored.pictures) == 2
    assert client.delete_products([wanted.product.id, "absent"]).missing == ("absent",)
    with pytest.raises(NotFound):
        client.get_product(wanted.product.id)


def test_fewer_pictures_replace_more(client: Client, upsert_of: Callable, sample: Callable) -> None:
    client.upsert_products([upsert_of("shrinking", "retina.jpg", "phantom.png")])
    client.upsert_products([upsert_of("shrinking", "retina.jpg")])
    assert len(client.get_product("shrinking").pictures) == 1
    matches = client.search_region(sample("phantom.png"), WHOLE, min_score=0.95).matches
    assert "shrinking" not in {match.id for match in matches}
    client.delete_products(["shrinking"])


def test_a_product_with_many_pictures_is_one_match(client: Client, upsert_of: Callable, sample: Callable) -> None:
    client.upsert_products([upsert_of("many", *["grass.png"] * 16), upsert_of("other", "gravel.png")])
    found = [match.id for match in client.search_region(sample("grass.png"), WHOLE, top_k=2).matches]
    assert found[0] == "many"
    assert len(set(found)) == 2
    client.delete_products(["many", "other"])


def test_a_bad_product_is_reported_and_its_neighbours_stored(client: Client, upsert_of: Callable) -> None:
    results = client.upsert_products(
        [
            upsert_of("", "coins.png"),
            upsert_of("sound", "coins.png"),
            ProductUpsert(Product(id="broken"), (ReferencePicture(b"no picture"),)),
            ProductUpsert(Product(id="bare"), ()),
            ProductUpsert(Product(id="outside"), (ReferencePicture(b"x", Box(0.0, 0.0, 2.0, 1.0)),)),
        ]
    ).results
    reasons = [result.error.reason if result.error else None for result in results]
    assert reasons == ["INVALID_PRODUCT", None, "UNSUPPORTED_FORMAT", "INVALID_PRODUCT", "INVALID_REGION"]
    assert client.get_product("sound").product.id == "sound"
    client.delete_products(["sound"])


def test_listing_walks_all_products_in_order(client: Client, upsert_of: Callable) -> None:
    ids = [f"walk-{number:02d}" for number in range(7)]
    client.upsert_products([upsert_of(each, "brick.png", category="walk") for each in reversed(ids)])
    # Writing one again moves its row in the index; the order must not follow.
    client.upsert_products([upsert_of(ids[2], "brick.png", category="walk")])
    from framelens_client import Filter

    listed, token = [], ""
    while True:
        page = client.list_products(page_size=3, page_token=token, filter=Filter(categories=("walk",)))
        listed += [stored.product.id for stored in page.products]
        token = page.next_page_token
        if not token:
            break
    assert listed == ids
    client.delete_products(ids)
