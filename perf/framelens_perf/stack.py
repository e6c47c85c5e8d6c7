"""Runs the embedded stack for a demo or a measurement, as a process of its own."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_TIMEOUT_S = 180
_STOP_TIMEOUT_S = 60
SERVE_FILE = "serve.json"


class StackFailure(Exception):
    """The embedded stack did not come up, or stopped; its log is named."""


@dataclass(frozen=True)
class Addresses:
    """HOST:PORT of the endpoints that measurements use."""

    grpc: str
    http: str
    triton_grpc: str
    triton_metrics: str
    milvus: str
    pids: dict[str, int]


@contextmanager
def embedded_stack(command: Path, var_dir: Path, model_repository: Path, unnamed_boxes: int = 0) -> Iterator[Addresses]:
    """Starts `framelens-stack` on free ports with its data in `var_dir`, and stops it at the end.

    Named objects are what measurements compare; boxes without a name are looked for where it is said. Raises
    StackFailure.
    """
    environment = {**os.environ, "FRAMELENS_UNNAMED_BOXES": str(unnamed_boxes)}
    var_dir.mkdir(parents=True, exist_ok=True)
    log = var_dir / "stack.log"
    serve_file = var_dir / SERVE_FILE
    arguments = [str(command), f"--var-dir={var_dir}", f"--model-repository={model_repository}"]
    with log.open("wb") as out:
        process = subprocess.Popen(arguments, stdout=out, stderr=subprocess.STDOUT, env=environment)
    try:
        yield _addresses(process, serve_file, log)
    finally:
        process.send_signal(signal.SIGTERM)
        _wait(process, log)


def read_addresses(serve_file: Path) -> Addresses:
    """As they are now: a part that was restarted has another process id."""
    found = json.loads(serve_file.read_text())
    return Addresses(**{name: found[name] for name in Addresses.__dataclass_fields__})


def _wait(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Raises StackFailure unless it ends, and ends well."""
    try:
        status = process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise StackFailure(f"the stack did not stop within {_STOP_TIMEOUT_S} s and was killed; see {log}") from error
    if status:
        raise StackFailure(f"the stack ended with status {status}:\n{log.read_text()[-3000:]}")


def _addresses(process: "subprocess.Popen[bytes]", serve_file: Path, log: Path) -> Addresses:
    end = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise StackFailure(f"the stack exited with status {process.returncode}:\n{log.read_text()[-3000:]}")
        if serve_file.exists():
            return read_addresses(serve_file)
        time.sleep(0.1)
    raise StackFailure(f"the stack did not come up within {_START_TIMEOUT_S} s; see {log}")
