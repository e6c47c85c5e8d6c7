"""How a client connects, how long it waits, and how it retries."""

from collections.abc import Callable
from dataclasses import dataclass
from random import uniform

import grpc

from framelens_client.errors import FrameLensError, Overloaded, Unreachable


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The deadline of each kind of call in seconds, attempts and pauses included; a call's `timeout_s` comes first."""

    search_s: float = 5.0
    read_s: float = 10.0
    write_s: float = 60.0
    health_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Retries:
    """When to send a call again: exponential backoff with full jitter, bounded attempts, inside the call's deadline.

    `attempts` is how often a call is sent at most; `unreachable_attempts` is the same as long as no gateway answers,
    and None is until the deadline: a gateway that restarts is back in seconds and has nothing to bear meanwhile.
    Only failures in `on` are retried. The default two are those in which sending again is both safe and useful: every
    call of the contract is a read or idempotent by id, and a part that is down behind a gateway that answers does not
    come back sooner for being asked more often.
    """

    attempts: int = 3
    first_delay_s: float = 0.05
    longest_delay_s: float = 2.0
    unreachable_attempts: int | None = None
    on: tuple[type[FrameLensError], ...] = (Unreachable, Overloaded)

    def next_delay(
        self,
        attempt: int,
        error: FrameLensError,
        remaining_s: float,
        jitter: Callable[[float, float], float] = uniform,
    ) -> float | None:
        """Seconds to wait after `attempt` (counted from 1) failed; None when `error` is to be raised."""
        most = self.unreachable_attempts if isinstance(error, Unreachable) else self.attempts
        if (most is not None and attempt >= most) or not isinstance(error, self.on):
            return None
        ceiling = min(self.first_delay_s * 2.0 ** min(attempt - 1, 30), self.longest_delay_s)
        # The server's wish is a lower bound; the jitter on top keeps callers that were shed together apart.
        delay = (error.retry_after_s or 0.0) + jitter(0.0, ceiling)
        return delay if delay < remaining_s else None


NO_RETRIES = Retries(attempts=1, unreachable_attempts=1)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the gateway is: `address` is HOST:PORT or any other gRPC target. `credentials` turn TLS on."""

    address: str
    token: str | None = None
    credentials: grpc.ChannelCredentials | None = None

    def __post_init__(self) -> None:
        if ":" not in self.address or self.address.startswith(("http://", "https://")):
            raise ValueError(f"address {self.address!r} is not HOST:PORT, such as 127.0.0.1:50051")
        if self.token and not (self.token.isascii() and self.token.isprintable()):
            raise ValueError("the token has characters that no gRPC metadata can carry, such as a line feed at its end")

    def __repr__(self) -> str:
        return f"Connection(address={self.address!r}, token={'***' if self.token else None}, tls={self.tls})"

    @property
    def tls(self) -> bool:
        return self.credentials is not None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()
