"""What can go wrong with a sizing.

SizingError
├── ReportUnusable    a report that is not there, or does not say what the stages cost
└── Unreachable       no number of cores keeps the SLO
"""


class SizingError(Exception):
    """The message names the thing, what was wrong with it, and what to do."""


class ReportUnusable(SizingError):
    pass


class Unreachable(SizingError):
    pass
