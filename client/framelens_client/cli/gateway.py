"""Which gateway the command talks to."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import click
import grpc

from framelens_client.async_client import AsyncClient
from framelens_client.client import Client
from framelens_client.settings import NO_RETRIES, Retries, Timeouts

SERVE_FILE = Path("var") / "serve.json"
# Two or three seconds, enough for a gateway that restarts: who forgot to start one should not wait for the deadline.
_BRIEF_RETRIES = Retries(unreachable_attempts=8)


@dataclass(frozen=True, slots=True)
class Target:
    """`name` stays the same when the gateway of a serve.json comes back on another port."""

    address: str
    name: str


@dataclass(frozen=True, slots=True)
class Gateway:
    """The global options."""

    address: str | None
    token: str | None
    timeout_s: float | None
    credentials: grpc.ChannelCredentials | None

    def target(self) -> Target:
        """Raises UsageError when no address is known."""
        return Target(self.address, self.address) if self.address else _served_from(Path.cwd())

    def each(self) -> list["Gateway"]:
        """One for each address of `--address A,B`, for commands that act on every gateway."""
        addresses = self.target().address.split(",")
        return [replace(self, address=address.strip()) for address in addresses if address.strip()]

    def client(self) -> Client:
        address, token, credentials = self.target().address, self.token, self.credentials
        try:
            return Client(
                address, token=token, credentials=credentials, timeouts=self._timeouts(), retries=_BRIEF_RETRIES
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    def patient_client(self) -> AsyncClient:
        """For the importer, which retries by itself."""
        address, token, credentials = self.target().address, self.token, self.credentials
        try:
            return AsyncClient(
                address, token=token, credentials=credentials, timeouts=self._timeouts(), retries=NO_RETRIES
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    def _timeouts(self) -> Timeouts:
        seconds = self.timeout_s
        return Timeouts() if seconds is None else Timeouts(seconds, seconds, seconds, seconds)


def _served_from(start: Path) -> Target:
    for folder in (start, *start.parents):
        path = folder / SERVE_FILE
        if path.is_file():
            return Target(_grpc_address(path), str(path))
    raise click.UsageError(
        f"no gateway: pass --address HOST:PORT, set FRAMELENS_ADDRESS, or run where {SERVE_FILE} is "
        "(`make serve` writes it)"
    )


def _grpc_address(path: Path) -> str:
    try:
        served = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} is not JSON ({error}): pass --address HOST:PORT") from error
    address = served.get("grpc") if isinstance(served, dict) else None
    if not isinstance(address, str):
        raise click.UsageError(f'{path} names no "grpc" address: pass --address HOST:PORT')
    return address
