"""The time that a caller gives a call."""

import time
from dataclasses import dataclass

from framelens_gateway.errors import DeadlineExceeded

# At a caller's deadline gRPC cancels the call itself, often this little before the gateway's own clock is there.
EARLY_S = 0.02


@dataclass(frozen=True)
class Deadline:
    """A point in monotonic time, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic() + seconds)

    def remaining(self, stage: str) -> float:
        """Seconds left for a stage. Raises DeadlineExceeded where there are none, so that the stage is not begun."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(stage)
        return left
