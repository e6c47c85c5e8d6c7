"""What perf_analyzer 2.51.0 said and wrote against the embedded Triton, word for word, and its exit statuses."""

from pathlib import Path

from framelens_perf.analyzer.output import Outcome

_CAPTURED = Path(__file__).with_name("captured")
_STATUS = {"unstable": 2, "empty_window": 3, "refused": 99, "unknown_model": 99}


def captured(name: str) -> Outcome:
    said, csv = _CAPTURED / f"{name}.txt", _CAPTURED / f"{name}.csv"
    return Outcome(_STATUS.get(name, 0), said.read_text(), csv.read_text() if csv.exists() else "")


CSV_HEADER = (
    "Request Rate,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,"
    "Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency"
)


def answered(rate: float, p99_ms: float) -> Outcome:
    """A stable run that answered all of `rate`."""
    p99 = round(p99_ms * 1000)
    row = f"{rate:g},{rate:g},1,1,1,1,1,1,1,{p99 // 4},{p99 // 3},{p99 // 2},{p99}"
    return Outcome(0, "    Request count: 300\n", f"{CSV_HEADER}\n{row}\n")
