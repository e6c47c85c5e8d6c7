"""What can go wrong besides a measurement that is not to be trusted.

AnalyzerError
├── InstallError    perf_analyzer cannot be had on this machine
├── ScenarioError   a scenario file does not say what to measure
└── RunError        Triton or perf_analyzer refused: there is nothing to measure
"""


class AnalyzerError(Exception):
    """The message names the thing, what was wrong with it, and what to do."""


class InstallError(AnalyzerError):
    pass


class ScenarioError(AnalyzerError):
    pass


class RunError(AnalyzerError):
    pass
