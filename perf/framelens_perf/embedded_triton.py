"""Runs the embedded Triton of this environment by itself, for a measurement that needs nothing else of the stack."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from framelens_perf.stack import StackFailure

# Plans are made ready for a GPU that they have not met.
_START_TIMEOUT_S = 300
_STOP_TIMEOUT_S = 60
_LOG_TAIL = 3000
_ENDPOINTS = ("grpc", "http", "metrics")


@contextmanager
def embedded_triton(repository: Path, folder: Path) -> Iterator[str]:
    """Serves a model repository on free ports; HOST:PORT of its gRPC. `folder` takes its log. Raises StackFailure."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "triton.log"
    ports = dict(zip(_ENDPOINTS, _free_ports(len(_ENDPOINTS)), strict=True))
    command = [str(Path(sys.executable).with_name("framelens-triton")), "serve", f"--model-repository={repository}"]
    command += [f"--work-dir={folder / 'work'}", *(f"--{name}-port={port}" for name, port in ports.items())]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        address = f"127.0.0.1:{ports['grpc']}"
        _wait_until_ready(process, address, log)
        yield address
    finally:
        _stop(process, log)


def _wait_until_ready(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    end = time.monotonic() + _START_TIMEOUT_S
    with InferenceServerClient(address) as client:
        while time.monotonic() < end:
            if process.poll() is not None:
                raise StackFailure(f"Triton exited with status {process.returncode}:\n{_tail(log)}")
            if _ready(client):
                return
            time.sleep(0.2)
    raise StackFailure(f"Triton was not ready within {_START_TIMEOUT_S} s; its log ends:\n{_tail(log)}")


def _ready(client: InferenceServerClient) -> bool:
    try:
        return bool(client.is_server_ready(client_timeout=2))
    except InferenceServerException:  # Nobody listens yet.
        return False


def _stop(process: "subprocess.Popen[bytes]", log: Path) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise StackFailure(f"Triton did not stop within {_STOP_TIMEOUT_S} s and was killed; see {log}") from error


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_TAIL:]


def _free_ports(count: int) -> list[int]:
    """All are held until the last is found, so that no two are the same."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
