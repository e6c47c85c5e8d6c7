"""Finds the largest rate that holds, by bisection, where single tries are noisy."""

from collections.abc import Awaitable, Callable

# Tries a rate once, and says whether it held.
Try = Callable[[float], Awaitable[bool]]

_GROWTH = 1.25
_MOST_GROWTHS = 8


async def largest_rate(attempt: Try, first: float, precision: float) -> float:
    """The largest rate that was tried and held, 0.0 where none did; the next larger one tried failed.

    `first` is where the search begins, best a little over the answer; it ends when what held and what failed are no
    further apart than `precision` of `first`.
    """
    held, failed = await _bracket(attempt, first)
    while failed - held > precision * first:
        middle = (held + failed) / 2
        if await holds(attempt, middle):
            held = middle
        else:
            failed = middle
    return held


async def holds(attempt: Try, rate: float) -> bool:
    """Two tries that agree decide, and a third where they don't."""
    one, other = await attempt(rate), await attempt(rate)
    return one if one == other else await attempt(rate)


async def _bracket(attempt: Try, first: float) -> tuple[float, float]:
    """A rate that held, or 0.0, and a larger one that failed."""
    held, rate = 0.0, first
    for _ in range(_MOST_GROWTHS):
        if not await holds(attempt, rate):
            break
        held, rate = rate, rate * _GROWTH
    return held, rate
