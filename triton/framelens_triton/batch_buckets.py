"""Which batch sizes an engine is kept ready for, and which of them runs a batch."""

from bisect import bisect_left
from collections.abc import Sequence

# The smallest, usual and largest batch of one optimisation profile.
Profile = tuple[int, int, int]


def buckets(profiles: Sequence[Profile], max_batch_size: int) -> tuple[int, ...]:
    """Batch sizes, growing: those that the profiles name, of which the last holds `max_batch_size` pictures.

    Raises ValueError where no profile holds as many.
    """
    named = sorted({size for profile in profiles for size in profile})
    if not named or named[-1] < max_batch_size:
        largest = named[-1] if named else 0
        raise ValueError(
            f"the plan takes batches of up to {largest} and config.pbtxt says max_batch_size {max_batch_size}; build it"
            f" with --batch 1,8,{max_batch_size}, or lower max_batch_size"
        )
    return tuple(named[: bisect_left(named, max_batch_size) + 1])


def bucket_for(rows: int, sizes: Sequence[int]) -> int:
    """The smallest that holds so many pictures; what is left of it holds what was there before, and nobody reads it.

    Raises ValueError where none does.
    """
    at = bisect_left(sizes, rows)
    if at == len(sizes):
        raise ValueError(f"a batch of {rows} is larger than {sizes[-1]}, which is the largest that this engine takes")
    return sizes[at]


def profile_for(size: int, profiles: Sequence[Profile]) -> int:
    """The index of the profile that was optimised for the batch size nearest to this one, of those that hold it.

    Raises ValueError where none does.
    """
    holding = [index for index, (least, _, most) in enumerate(profiles) if least <= size <= most]
    if not holding:
        raise ValueError(f"no optimisation profile of {list(profiles)} holds a batch of {size}")
    return min(holding, key=lambda index: abs(profiles[index][1] - size))


def row_ranges(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Where the rows of each request of a batch begin and end."""
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    return [(end - size, end) for size, end in zip(sizes, ends, strict=True)]
