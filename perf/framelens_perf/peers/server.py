"""A peer that runs on a free loopback port for as long as it is measured."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from framelens_perf.peers.definitions import SERVERS, Peer
from framelens_perf.peers.failures import PeerFailure
from framelens_perf.peers.processes import end_family

_START_TIMEOUT_S = 120
_LOG_TAIL = 3000


@dataclass(frozen=True)
class Engines:
    """The engine files that every peer opens: REPOSITORY/MODEL/VERSION/model.onnx."""

    detector: Path
    embedder: Path


@contextmanager
def running(
    peer: Peer, environment: Path, engines: Engines, out: Path, settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The URL of a peer that is healthy; its log goes to `out`. Settings are those of its file, without PEER_.

    Raises PeerFailure.
    """
    out.mkdir(parents=True, exist_ok=True)
    log, port = out / f"{peer.package}.log", _free_port()
    with log.open("wb") as to:
        process = subprocess.Popen(
            peer.command(environment, port),
            cwd=SERVERS,
            env=_variables(environment, engines, out, port, settings or {}),
            stdout=to,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(process, url + peer.health_path, log)
        yield f"{url}/recognize"
    finally:
        end_family(process.pid)
        process.wait()


def _variables(
    environment: Path, engines: Engines, out: Path, port: int, settings: Mapping[str, str]
) -> dict[str, str]:
    own = {
        "DETECTOR_ENGINE": str(engines.detector.resolve()),
        "EMBEDDER_ENGINE": str(engines.embedder.resolve()),
        "PORT": str(port),
        **settings,
    }
    return {
        **os.environ,
        "PATH": f"{environment.absolute() / 'bin'}{os.pathsep}{os.environ['PATH']}",
        # The search among vectors keeps to a worker's share of the cores, as the engines do.
        "OPENBLAS_NUM_THREADS": own.get("SESSION_THREADS", "1"),
        "BENTOML_HOME": str((out / "bentoml").resolve()),
        "BENTOML_DO_NOT_TRACK": "True",
        **{f"PEER_{name}": value for name, value in own.items()},
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    end = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            tail = log.read_text(errors="replace")[-_LOG_TAIL:]
            raise PeerFailure(f"the peer exited with status {process.returncode}; its log {log} ends:\n{tail}")
        if _healthy(url):
            return
        time.sleep(0.2)
    raise PeerFailure(f"the peer was not healthy within {_START_TIMEOUT_S} s; see {log}")


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - http on loopback
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):  # Refused, not ready yet, or too slow to say.
        return False
