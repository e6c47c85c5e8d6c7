from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.trials.distribution import Distribution, percentile


def test_percentiles_are_values_that_occurred() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.5, 0.95, 0.99, 1)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7
    assert percentile([], 0.5) == 0


def test_count_and_mean_are_of_all_and_percentiles_of_the_last() -> None:
    found = Distribution()
    found.add(*[100.0] * 2000)
    found.add(*[1.0] * 2000)
    assert found.report() == pb.Distribution(count=4000, mean=50.5, p50=1, p95=1, p99=1, max=1)


def test_nothing_is_nothing() -> None:
    assert Distribution().report() == pb.Distribution()
