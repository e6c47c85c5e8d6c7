import pytest

from framelens_client import Box
from framelens_client.region import parse_region


@pytest.mark.parametrize("text", ["0,0.25,0.5,1", "0 0.25 0.5 1", " 0, 0.25,\t0.5  1 "])
def test_commas_or_spaces(text: str) -> None:
    assert parse_region(text) == Box(0.0, 0.25, 0.5, 1.0)


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("", "four numbers"),
        ("0,0,1", "four numbers"),
        ("0,0,1,1,1", "four numbers"),
        ("a,b,c,d", "four numbers"),
        ("0,0,1,1.5", "outside"),
        ("nan,0,1,1", "outside"),
        ("0.5,0,0.5,1", "inverted"),
        ("0,0.9,1,0.1", "inverted"),
    ],
)
def test_what_is_no_region(text: str, flaw: str) -> None:
    with pytest.raises(ValueError, match=flaw):
        parse_region(text)
