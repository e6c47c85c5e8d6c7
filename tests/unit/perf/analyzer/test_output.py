"""Reading perf_analyzer: figures only where it can be trusted, and an error where nothing was measured."""

import pytest

from framelens_perf.analyzer.errors import RunError
from framelens_perf.analyzer.output import Outcome, read_point
from framelens_perf.analyzer.results import Load, Verdict

from .conftest import answered, captured


def rate(value: float) -> Load:
    return Load(value, open_loop=True)


def test_a_poisson_rate() -> None:
    point = read_point(rate(10), captured("poisson"))
    assert point.verdict is Verdict.STABLE
    assert point.delayed_share is None
    figures = point.figures
    assert figures is not None
    assert (figures.requests, figures.throughput) == (66, pytest.approx(9.16044))
    assert (figures.p50_ms, figures.p90_ms, figures.p95_ms, figures.p99_ms) == (24.174, 71.829, 84.518, 90.447)
    assert (figures.queue_ms, figures.compute_input_ms) == (5.384, 0.062)
    assert (figures.compute_infer_ms, figures.compute_output_ms) == (26.227, 0.493)


def test_callers_at_once() -> None:
    figures = read_point(Load(2, open_loop=False), captured("callers")).figures
    assert figures is not None
    assert (figures.throughput, figures.p99_ms, figures.queue_ms) == (8.46044, 371.983, 90.098)


def test_a_generator_that_fell_behind_has_no_figures() -> None:
    point = read_point(rate(60), captured("delayed"))
    assert (point.verdict, point.figures) == (Verdict.DELAYED, None)
    assert point.delayed_share == pytest.approx(0.9906)
    assert point.said == "99.1% of the requests left late (bar 1%)"


@pytest.mark.parametrize(("share", "verdict"), [("1.00", Verdict.STABLE), ("1.01", Verdict.DELAYED)])
def test_the_bar_of_delayed_requests(share: str, verdict: Verdict) -> None:
    run = answered(10, 5)
    said = f"{run.said}    [WARNING] ... {share}% of the requests were delayed. \n"
    assert read_point(rate(10), Outcome(0, said, run.csv)).verdict is verdict


def test_callers_have_no_schedule_to_keep() -> None:
    run = answered(10, 5)
    said = f"{run.said} 50.0% of the requests were delayed. "
    assert read_point(Load(8, open_loop=False), Outcome(0, said, run.csv)).verdict is Verdict.STABLE


def test_an_overloaded_server_looks_stable_to_perf_analyzer() -> None:
    point = read_point(rate(30), captured("overloaded"))
    assert (point.verdict, point.figures, point.said) == (Verdict.OVERLOADED, None, "17.8 answers/s of 30 asked")


@pytest.mark.parametrize("name", ["unstable", "empty_window", "not_stabilizing"])
def test_unstable_is_never_a_number(name: str) -> None:
    point = read_point(rate(4), captured(name))
    assert (point.verdict, point.figures) == (Verdict.UNSTABLE, None)
    assert point.said in captured(name).said


def test_a_run_that_was_ended_is_unstable() -> None:
    said = "Pass [1]\nperf_analyzer did not end within 84 s and was ended"
    assert read_point(rate(4), Outcome(-1, said, "")).verdict is Verdict.UNSTABLE


def test_requests_that_fail_are_no_measurement() -> None:
    with pytest.raises(RunError, match="under 5 requests/s: parameter `embedder` is missing"):
        read_point(rate(5), captured("refused"))


def test_perf_analyzer_says_why_it_cannot_work() -> None:
    with pytest.raises(RunError, match="status 99 under 1 at once:\nerror: .*'nosuch' is not found"):
        read_point(Load(1, open_loop=False), captured("unknown_model"))


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        ("", "reported 0 points"),
        ("Request Rate,Inferences/Second\n", "reported 0 points"),
        (
            "Request Rate,Inferences/Second\n4,5\n",
            "no number under 'p50 latency' but None; its columns are Request Rate",
        ),
    ],
)
def test_a_success_without_figures_is_an_error(csv: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        read_point(rate(4), Outcome(0, "Request count: 8", csv))
