"""Routing files, the packaged one included."""

from collections.abc import Callable
from pathlib import Path

import pytest

from framelens_gateway.routing import Route, Routing


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Routing]:
    def read(text: str) -> Routing:
        path = tmp_path / "routing.yaml"
        path.write_text(text)
        return Routing.load(path)

    return read


def test_the_packaged_file_sends_goods_to_products_and_the_living_to_videos() -> None:
    routing = Routing.load(None)
    assert routing.of("cup") is Route.PRODUCTS
    assert routing.of("what no detector has said yet") is Route.PRODUCTS
    for label in ("person", "cat", "dog", "horse", "giraffe"):
        assert routing.of(label) is Route.VIDEOS


def test_a_good_file(load: Callable[[str], Routing]) -> None:
    routing = load("default: videos\nroutes:\n  products: [cup, cup]\n")
    assert (routing.of("cup"), routing.of("cat")) == (Route.PRODUCTS, Route.VIDEOS)
    # Whatever the default is: what has no name is only ever looked for in the catalogue.
    assert routing.of("object") is Route.PRODUCTS
    assert load("default: products").of("cat") is Route.PRODUCTS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default: shops", "default"),
        ("default: products\nroutes: {shops: [cup]}", "shops"),
        ("default: products\nroutes: {videos: [cup], products: [cup]}", "cup has two routes"),
        ("default: [", "routing.yaml"),
        ("default: products\nextra: 1", "extra"),
        ("", "routing.yaml"),
        ("just a word", "routing.yaml"),
        ("default: products\nroutes: {videos: [on]}", "routes"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(load: Callable[[str], Routing], text: str, said: str) -> None:
    with pytest.raises(ValueError, match="routing file .*routing.yaml") as refused:
        load(text)
    assert said in str(refused.value)


def test_a_fault_is_said_without_the_words_of_the_parser(load: Callable[[str], Routing]) -> None:
    with pytest.raises(ValueError, match="routing.yaml: default is 'shops': input should be 'products' or 'videos'$"):
        load("default: shops")
    with pytest.raises(ValueError, match="routing.yaml: default: field required$"):
        load("routes: {}")


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"routing file .*none.yaml cannot be read: No such file or directory"):
        Routing.load(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match=r"routing file .*bytes.yaml is not YAML"):
        Routing.load(tmp_path / "bytes.yaml")
