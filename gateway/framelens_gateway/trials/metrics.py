"""What trials count, in Prometheus' form."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Seconds, as of requests.
_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5)
_SHARES = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
_SHIFTS = (-0.5, -0.2, -0.1, -0.05, -0.02, -0.01, 0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


class TrialMetrics:
    """Of whatever trial is running; `framelens_trial_share` says which."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge, counter = partial(Gauge, registry=registry), partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.share = gauge(
            "framelens_trial_share", "Share of requests in the trial that is running", ["kind", "candidate"]
        )
        self.rollbacks = counter("framelens_canary_rollbacks", "Canaries that left a bound", ["bound"])
        self.canary = counter(
            "framelens_canary_requests",
            "Requests of a canary by group (candidate, control) and outcome (OK, or a reason)",
            ["group", "outcome"],
        )
        self.seconds = histogram(
            "framelens_trial_seconds",
            "Duration of requests by trial (shadow, canary) and group (candidate, control)",
            ["kind", "group"],
            buckets=_SECONDS,
        )
        self.shadow = counter(
            "framelens_shadow_requests",
            "Requests for the shadow candidate by outcome (compared, failed, timed_out, dropped_full, dropped_load)",
            ["outcome"],
        )
        self.objects = counter(
            "framelens_shadow_objects", "Objects by who found them (both, live, candidate)", ["found_by"]
        )
        self.top1 = counter("framelens_shadow_top1", "Compared searches by whether the best match agreed", ["agreed"])
        self.overlap = histogram(
            "framelens_shadow_overlap",
            "Share of matches that live and candidate have in common, by search",
            buckets=_SHARES,
        )
        self.score_shift = histogram(
            "framelens_shadow_score_shift",
            "Candidate's score minus the live one, of objects and of best matches",
            ["of"],
            buckets=_SHIFTS,
        )
