"""Where recognizer's image operations work: asked of the real Triton, and said on both faces and by `framelens`."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from json import loads
from pathlib import Path

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput

from framelens_client import Client

EMBEDDER = "embedder_effnet_lite0"


def said_by_triton(stack: object, picture: bytes) -> tuple[str, bytes]:
    """The sentence, and what is wrong with the picture."""
    data = InferInput("picture", [1, 1], "BYTES")
    data.set_data_from_numpy(np.array([[picture]], np.object_))
    outputs = [InferRequestedOutput(name) for name in ("operations", "error")]
    with InferenceServerClient(stack["triton_grpc"]) as triton:
        answer = triton.infer("recognizer", [data], outputs=outputs, parameters={"embedder": EMBEDDER})
    return answer.as_numpy("operations")[0, 0].decode(), answer.as_numpy("error")[0, 0]


def test_it_stands_beside_answers_and_refusals(stack: object, jpeg: Callable) -> None:
    said, error = said_by_triton(stack, jpeg("coffee.png"))
    assert error == b""
    assert said.startswith("image operations: ")
    again, error = said_by_triton(stack, b"")
    assert again == said
    assert b"INVALID_PICTURE" in error


def test_readyz_the_client_and_status_say_what_triton_says(stack: object, client: Client) -> None:
    said, _ = said_by_triton(stack, b"")
    # The gateway asks for it right after it has seen that Triton is ready.
    until = time.monotonic() + 5
    while not client.health().details and time.monotonic() < until:
        time.sleep(0.1)
    assert client.health().details == {"triton": said}
    with urllib.request.urlopen(f"http://{stack['http']}/readyz") as answer:
        assert loads(answer.read())["details"] == {"triton": said}
    program = Path(sys.executable).with_name("framelens")
    done = subprocess.run(
        [program, "--address", stack["grpc"], "status"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "300"},
    )
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("triton"))
    assert row.removeprefix("triton").strip() == said
