"""A trial of a candidate, in the words and units of the contract (framelens.proto), which says what each figure is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a canary must keep; None is the gateway's default, and for `max_p99_ms` no bound."""

    max_error_rate: float | None = None
    max_p99_ratio: float | None = None
    max_p99_ms: float | None = None
    min_requests: int | None = None
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Disagreement:
    """`at` is in seconds since the epoch; `picture` the beginning of its SHA-256."""

    at: float
    method: str
    picture: str
    what: str


@dataclass(frozen=True, slots=True)
class ShadowReport:
    compared: int
    failed: int
    timed_out: int
    dropped_full: int
    dropped_load: int
    live_objects: int
    candidate_objects: int
    agreed_objects: int
    objects_f1: float
    searches: int
    agreed_top1: int
    overlap_at_k: Distribution
    object_score_shift: Distribution
    match_score_shift: Distribution
    live_ms: Distribution
    candidate_ms: Distribution
    disagreements: tuple[Disagreement, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CanaryGroup:
    requests: int
    errors: int
    error_rate: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class CanaryReport:
    """`candidate` and `control` are what is judged: the last requests of each."""

    served: int
    failed: int
    bounds: Bounds
    candidate: CanaryGroup
    control: CanaryGroup
    errors: tuple[str, ...]
    no_time: int


@dataclass(frozen=True, slots=True)
class Trial:
    """`state` is none, running, stopped or rolled_back; `kind` shadow or canary. Times are seconds since the epoch."""

    state: str
    kind: str
    share: float
    candidate: str
    started_at: float
    ended_at: float | None
    reason: str
    notes: tuple[str, ...]
    shadow: ShadowReport | None
    canary: CanaryReport | None
