"""The stack as `make serve` runs it, for commands and documents that are tried as a user would."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Shared modules of tests are found through the folder above.
sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(scope="session")
def bin_dir() -> Path:
    return Path(sys.executable).parent


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, bin_dir: Path) -> Iterator[dict[str, str]]:
    """What serve.json says of a running stack.

    It finds what has a name: which goods without one are found depends on what other tests have stored.
    """
    var_dir = tmp_path_factory.mktemp("served")
    environment = {**os.environ, "FRAMELENS_UNNAMED_BOXES": "0"}
    log = var_dir / "stack.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [bin_dir / "framelens-stack", f"--var-dir={var_dir}"],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 120
        while not (var_dir / "serve.json").exists():
            assert process.poll() is None and time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.1)
        yield json.loads((var_dir / "serve.json").read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture
def environment(served: dict[str, str], bin_dir: Path) -> dict[str, str]:
    """For commands typed by a user of the served stack."""
    path = f"{bin_dir}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "FRAMELENS_ADDRESS": served["grpc"], "HTTP": served["http"]}
