"""Where the time of a request went, from when it was due to its answer: its own account, put in order."""

import statistics
from collections.abc import Sequence
from typing import Any

from framelens_perf.open_loop.sender import OK, Sent
from framelens_triton.recognition import STAGES

# In the order in which they pass. `late` is the generator's, `way` is there and back between client and gateway with
# what the gateway does before and after a call, `gateway` its own work inside it, `queue` Triton's queue and the way
# there and back.
SEGMENTS = ("late", "way", "gateway", "queue", *STAGES, "search")
# Around a percentile this share of all requests is taken together, at least so many.
_BAND = 0.02
_FEWEST = 5


def segments(sent: Sent[Any]) -> dict[str, float]:
    """Milliseconds by segment; they add up to the request's latency."""
    told = sent.answer.stages_ms
    return {
        "late": sent.late_ms,
        "way": sent.answer_ms - told["total"],
        "gateway": told["total"] - told["recognizer"] - told["search"],
        "queue": told["queue"],
        **{stage: told[stage] for stage in STAGES},
        "search": told["search"],
    }


def waterfall(sent: Sequence[Sent[Any]], percentile: float) -> dict[str, float]:
    """The mean of the requests around a percentile of latency, in ms by segment; empty where none was answered."""
    answered = sorted((each for each in sent if each.code == OK), key=lambda each: each.latency_ms)
    if not answered:
        return {}
    width = max(_FEWEST, round(len(answered) * _BAND))
    centre = round(percentile / 100 * (len(answered) - 1))
    first = max(0, min(centre - width // 2, len(answered) - width))
    around = [segments(each) for each in answered[first : first + width]]
    return {name: statistics.fmean(each[name] for each in around) for name in SEGMENTS}
