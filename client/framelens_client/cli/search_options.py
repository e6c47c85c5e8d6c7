"""Options that `recognize` and `search` share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from framelens_client.results import Filter

Command = TypeVar("Command", bound=Callable[..., Any])

_FILTER = (
    click.option("--category", "categories", multiple=True, help="Only this category; repeat for any of several."),
    click.option("--merchant", "merchants", multiple=True, help="Only this merchant; repeat for any of several."),
    click.option("--min-price", type=float, help="Lowest price, inclusive."),
    click.option("--max-price", type=float, help="Highest price, inclusive."),
    click.option(
        "--availability", "availabilities", multiple=True, help="Such as in_stock; repeat for any of several."
    ),
)
_SEARCH = (
    click.option("--top-k", type=int, help="Matches per object, 1 to 100. [default: 10]"),
    click.option("--min-score", type=float, help="Leave out matches below this cosine similarity."),
    click.option("--use-boost", is_flag=True, help="Rank products by their score plus their boost."),
    *_FILTER,
    click.option("--key", default="", help="Whose request this is, such as a user's id: a canary chooses by it."),
)


def filter_options(command: Command) -> Command:
    return _with(_FILTER, command)


def search_options(command: Command) -> Command:
    return _with(_SEARCH, command)


def filter_of(
    categories: tuple[str, ...],
    merchants: tuple[str, ...],
    min_price: float | None,
    max_price: float | None,
    availabilities: tuple[str, ...],
) -> Filter | None:
    """None when no condition is given."""
    wanted = Filter(categories, merchants, min_price, max_price, availabilities)
    return None if wanted == Filter() else wanted


def _with(options: tuple[Callable[[Command], Command], ...], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
