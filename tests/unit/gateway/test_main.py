"""The gateway's process, with a real Milvus Lite and no Triton."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from gateway_fakes import FakeIndex, FakeRecognizer, MilvusLite, free_port
from grpc_health.v1 import health_pb2, health_pb2_grpc

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.flushing import Flusher
from framelens_gateway.main import _calls
from framelens_gateway.metrics import Metrics
from framelens_gateway.settings import GatewaySettings
from framelens_gateway.unnamed.calibrations import Calibrations


class Gateway:
    def __init__(self, folder: Path, milvus: MilvusLite) -> None:
        self.http, self.grpc = f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        settings = {
            "FRAMELENS_HTTP_PORT": self.http.rpartition(":")[2],
            "FRAMELENS_GRPC_PORT": self.grpc.rpartition(":")[2],
            "FRAMELENS_TRITON_ADDRESS": f"127.0.0.1:{free_port()}",
            "FRAMELENS_MILVUS_URI": milvus.uri,
            "FRAMELENS_CROPS_DIR": str(folder / "crops"),
        }
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("framelens-gateway")],
                env={**os.environ, **settings},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        for _ in range(400):
            try:
                httpx.get(f"{self.http}/healthz")
                return
            except httpx.TransportError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)
        raise TimeoutError(self.log.read_text())


@pytest.fixture
def gateway(tmp_path: Path, milvus: MilvusLite) -> Iterator[Gateway]:
    left = tmp_path / "crops" / "ab" / "tmpx1y2"
    left.parent.mkdir(parents=True)
    left.touch()
    os.utime(left, (0, 0))
    running = Gateway(tmp_path, milvus)
    running.wait()
    yield running
    running.process.kill()
    running.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_both_faces_names_what_is_away_and_stops_cleanly(
    gateway: Gateway, number: signal.Signals, tmp_path: Path
) -> None:
    time.sleep(0.5)
    assert list((tmp_path / "crops" / "ab").iterdir()) == [], "what a killed write left was not swept"
    ready = httpx.get(f"{gateway.http}/readyz")
    parts = ready.json()["parts"]
    assert (ready.status_code, parts["triton"], parts["milvus"]) == (503, False, True)
    refused = httpx.post(f"{gateway.http}/v1/recognize", files={"picture": b"x"})
    assert (refused.status_code, refused.json()["error"]["reason"]) == (503, "TRITON_UNAVAILABLE")
    with grpc.insecure_channel(gateway.grpc) as channel:
        statuses = health_pb2.HealthCheckResponse
        for service, expected in (("", statuses.SERVING), ("framelens.v1.VisualSearch", statuses.NOT_SERVING)):
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == expected
    gateway.process.send_signal(number)
    started = time.monotonic()
    assert gateway.process.wait(20) == 0
    assert time.monotonic() - started < 5
    assert "Traceback" not in gateway.log.read_text()
    assert "never retrieved" not in gateway.log.read_text()


async def test_frames_are_looked_at_by_the_detector_that_is_set(
    recognizer: FakeRecognizer, index: FakeIndex, metrics: Metrics, tmp_path: Path
) -> None:
    settings = GatewaySettings(detector="yolo", crops_dir=tmp_path)
    calibrations = Calibrations(index, 0, 0.02, metrics.unnamed)
    calls = _calls(settings, recognizer, index, Flusher(index, 60), metrics, calibrations)

    async def read() -> pb.RecognizeRequest:
        return pb.RecognizeRequest(picture=b"frame")

    await calls.run("Recognize", read, {}, None)
    assert [call.detector for call in recognizer.calls] == ["yolo"]
