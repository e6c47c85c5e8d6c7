"""Page tokens and routing files: what is not ours is refused with words."""

from pathlib import Path

import pytest

from framelens_gateway.errors import InvalidRequest
from framelens_gateway.pages import page_token, position_of
from framelens_gateway.routing import Route, Routing


def test_a_token_brings_back_its_position() -> None:
    assert position_of(page_token("matches", 20), "matches", int) == 20
    assert position_of(page_token("products", "ä#00"), "products", str) == "ä#00"
    assert position_of("", "products", str) is None


@pytest.mark.parametrize(
    "token", ["x", "!!!", "bnVsbA", page_token("products", "a"), page_token("matches", "a"), "\x00"]
)
def test_a_foreign_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest, match="page_token"):
        position_of(token, "matches", int)


def test_the_packaged_routes() -> None:
    routing = Routing.load(None)
    assert [routing.of(label) for label in ("cup", "person", "cat", "unheard of")] == [
        Route.PRODUCTS,
        Route.VIDEOS,
        Route.VIDEOS,
        Route.PRODUCTS,
    ]


@pytest.mark.parametrize(
    "text",
    ["default: shops", "default: products\nroutes: {videos: [a], products: [a]}", "default: [", "rutes: {}", ""],
)
def test_a_wrong_routing_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "routing.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="routing"):
        Routing.load(path)
