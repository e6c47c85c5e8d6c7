"""Everything that can go wrong while an engine is made.

EngineError
├── WheelError         a wheel could not be fetched, or is not the pinned one
├── ConversionError    a source is not the network that its importer knows
├── RefusedModelError  a user's ONNX does not fit what was said about it
├── ProbeError         an engine was built and does not answer sanely
├── RepositoryError    the model repository does not admit the engine
├── ServerError        a Triton server cannot be reached, or refuses
└── SwapError          a change of what serves is refused or has failed; it says what serves now
"""


class EngineError(Exception):
    """Base of all; its message names the thing, what is wrong with it, and what to do."""


class WheelError(EngineError):
    """A wheel could not be fetched, or is not the pinned one."""


class ConversionError(EngineError):
    """A source is not the network that its importer knows."""


class RefusedModelError(EngineError):
    """A user's ONNX does not fit what was said about it."""


class ProbeError(EngineError):
    """An engine was built and does not answer sanely."""


class RepositoryError(EngineError):
    """The model repository does not admit the engine."""


class ServerError(EngineError):
    """A Triton server cannot be reached, or refuses."""


class SwapError(EngineError):
    """A change of what serves is refused or has failed; the message says what serves now."""
