"""What both Python-based backends do with the requests that Triton hands over at once."""

from collections.abc import Callable, Sequence
from typing import Any


def respond(requests: Sequence[Any], run: Callable[[list[Any]], Sequence[Any]], gone: Callable[[], Any]) -> list[Any]:
    """One response for each request: `gone` for a caller that has gone, and what `run` makes of the others together."""
    cancelled = [request.is_cancelled() for request in requests]
    alive = [request for request, is_gone in zip(requests, cancelled, strict=True) if not is_gone]
    answers = iter(run(alive) if alive else ())
    return [gone() if is_gone else next(answers) for is_gone in cancelled]
