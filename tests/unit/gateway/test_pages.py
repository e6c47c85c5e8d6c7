"""Page tokens come back as they were given, and nothing else is taken for one."""

import base64
import json
import random

import pytest

from framelens_client.reasons import Reason
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.pages import page_token, position_of


@pytest.mark.parametrize("position", ["p1", 'é " \\ % 漢', "\U0001f600" * 64, ""])
def test_a_text_position_comes_back(position: str) -> None:
    assert position_of(page_token("products", position), "products", str) == position


def test_a_number_comes_back_and_no_token_is_the_first_page() -> None:
    assert position_of(page_token("matches", 30), "matches", int) == 30
    assert position_of("", "matches", int) is None


def token(read: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(read).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "made_up",
    [
        "x",
        "????",
        "é",
        "a" * 100_000,
        token(["matches", True]),
        token(["matches", "10"]),
        token(["matches", 1.5]),
        token(["matches", None]),
        token(["matches"]),
        token(["matches", 1, 2]),
        token({"matches": 1}),
        token(["products", 1]),
        base64.urlsafe_b64encode(b"[" * 1500).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        token(["matches", 10]) + "!!",
        " " + token(["matches", 10]),
    ],
    ids=lambda value: value[:24],
)
def test_a_made_up_token_is_refused(made_up: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        position_of(made_up, "matches", int)
    assert refused.value.reason is Reason.INVALID_PAGE_TOKEN


@pytest.mark.parametrize("position", ["\ud800", "a\udfff"])
def test_half_a_character_is_refused(position: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        position_of(token(["products", position]), "products", str)
    assert refused.value.reason is Reason.INVALID_PAGE_TOKEN


def test_a_damaged_token_is_refused_or_still_a_number() -> None:
    chance = random.Random(1)
    whole = page_token("matches", 12345)
    for _ in range(500):
        at = chance.randrange(len(whole))
        damaged = whole[:at] + chance.choice("aZ9-_=") + whole[at + 1 :]
        try:
            assert type(position_of(damaged, "matches", int)) is int
        except InvalidRequest as refused:
            assert refused.reason is Reason.INVALID_PAGE_TOKEN
