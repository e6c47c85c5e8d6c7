"""Finds the largest rate that holds, by bisection, where single tries are noisy."""

from collections.abc import Awaitable, Callable

# Tries a rate once, and says how much of its bound it took: up to 1 it held.
Try = Callable[[float], Awaitable[float]]

_GROWTH = 1.25
_MOST_GROWTHS = 8
# So far from its bound, on either side, a try needs no second one.
_CLEARLY = 1.5


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
    """One clear try decides, or two that agree, or a third where they don't."""
    first = await attempt(rate)
    if not 1 / _CLEARLY < first < _CLEARLY:
        return first <= 1
    second = await attempt(rate)
    return first <= 1 if (first <= 1) == (second <= 1) else await attempt(rate) <= 1


async def _bracket(attempt: Try, first: float) -> tuple[float, float]:
    """A rate that held, or 0.0, and a larger one that failed."""
    held, rate = 0.0, first
    for _ in range(_MOST_GROWTHS):
        if not await holds(attempt, rate):
            break
        held, rate = rate, rate * _GROWTH
    return held, rate
