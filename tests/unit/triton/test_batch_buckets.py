"""Which batch sizes are kept ready, and which runs what."""

import pytest

from framelens_triton.batch_buckets import bucket_for, buckets, profile_for, row_ranges


@pytest.mark.parametrize(
    ("profiles", "most", "expected"),
    [
        ([(1, 8, 32)], 32, (1, 8, 32)),
        ([(1, 8, 32)], 16, (1, 8, 32)),
        ([(1, 8, 32)], 8, (1, 8)),
        ([(1, 1, 1)], 1, (1,)),
        ([(1, 4, 8), (8, 16, 64)], 64, (1, 4, 8, 16, 64)),
    ],
)
def test_buckets_are_those_of_the_profiles_that_are_needed(
    profiles: list[tuple[int, int, int]], most: int, expected: tuple[int, ...]
) -> None:
    assert buckets(profiles, most) == expected


@pytest.mark.parametrize("profiles", [[], [(1, 4, 8)]])
def test_a_plan_for_smaller_batches_is_refused_with_the_flag(profiles: list[tuple[int, int, int]]) -> None:
    with pytest.raises(ValueError, match=r"max_batch_size 32; build it with --batch 1,8,32"):
        buckets(profiles, 32)


@pytest.mark.parametrize(("rows", "bucket"), [(1, 1), (2, 8), (8, 8), (9, 32), (32, 32)])
def test_the_smallest_bucket_that_holds_a_batch_runs_it(rows: int, bucket: int) -> None:
    assert bucket_for(rows, (1, 8, 32)) == bucket


def test_a_batch_that_no_bucket_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 33 is larger than 32"):
        bucket_for(33, (1, 8, 32))


@pytest.mark.parametrize(("size", "index"), [(1, 0), (4, 0), (8, 0), (16, 1), (64, 1)])
def test_a_bucket_has_the_profile_that_was_optimised_nearest_to_it(size: int, index: int) -> None:
    assert profile_for(size, [(1, 4, 8), (8, 16, 64)]) == index


def test_a_size_without_a_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="no optimisation profile of"):
        profile_for(9, [(1, 4, 8)])


def test_rows_of_requests_follow_each_other() -> None:
    assert row_ranges([1, 2, 1]) == [(0, 1), (1, 3), (3, 4)]
    assert row_ranges([]) == []
