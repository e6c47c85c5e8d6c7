"""FRAMELENS_TRITON_MODEL_CONFIG_NAME and the embedded Triton: which file it takes of each model."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / ".venv/server/bin/framelens-triton"
EMBEDDER = "embedder_effnet_lite0"


@contextmanager
def triton(repository: Path, work: Path, config_name: str) -> Iterator[InferenceServerClient]:
    with socket.socket() as grpc, socket.socket() as http, socket.socket() as metrics:
        for each in (grpc, http, metrics):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (grpc, http, metrics)]
    flags = [f"--{name}-port={port}" for name, port in zip(("grpc", "http", "metrics"), ports, strict=True)]
    process = subprocess.Popen(
        [PROGRAM, "serve", f"--model-repository={repository}", f"--work-dir={work}", *flags],
        env={**os.environ, "FRAMELENS_TRITON_MODEL_CONFIG_NAME": config_name},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with InferenceServerClient(f"127.0.0.1:{ports[0]}") as client:
            until = time.monotonic() + 60
            while not _ready(client):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _ready(client: InferenceServerClient) -> bool:
    try:
        return client.is_server_ready()
    except InferenceServerException:
        return False


def batch_size(client: InferenceServerClient, model: str) -> int:
    return client.get_model_config(model).config.max_batch_size


def test_models_take_the_named_configuration_and_the_others_their_own(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    for model in ("detector", EMBEDDER):
        shutil.copytree(ROOT / "model_repository" / model, repository / model)
    own = (repository / "detector" / "config.pbtxt").read_text()
    (repository / "detector" / "configs").mkdir(exist_ok=True)
    small = own.replace("max_batch_size: 32", "max_batch_size: 4")
    (repository / "detector" / "configs" / "small.pbtxt").write_text(small)
    with triton(repository, tmp_path / "work", "small") as client:
        assert (batch_size(client, "detector"), batch_size(client, EMBEDDER)) == (4, 32)
    with triton(repository, tmp_path / "work", "") as client:
        assert batch_size(client, "detector") == 32
