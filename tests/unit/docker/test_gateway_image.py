"""The install steps of gateway.Dockerfile in a folder of their own, and the gateway that they make."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from docker_image import DOCKER, Image, Installation

IMAGE = Image(DOCKER / "gateway.Dockerfile")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(IMAGE, tmp_path_factory.mktemp("gateway-image"))


def gateway(installation: Installation) -> Path:
    (command,) = IMAGE.entrypoint()
    return installation.path("/opt/framelens") / "bin" / command


def test_pip_ran_as_the_image_runs_it(installation: Installation) -> None:
    assert len(installation.ran) == 1
    assert "-c constraints/gateway.txt ./client ./gateway" in installation.ran[0]


def test_the_image_holds_the_gateway_and_its_commands(installation: Installation) -> None:
    commands = {path.name for path in gateway(installation).parent.iterdir()}
    assert {"framelens-gateway", "framelens-index", "framelens"} <= commands
    assert {"pip", "milvus-lite", "pytest"} & commands == set()
    for command in ("framelens", "framelens-index"):
        assert "Usage:" in installation.run(gateway(installation).with_name(command), "--help")


def test_it_is_small(installation: Installation) -> None:
    files = [path for path in installation.path("/opt/framelens").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 400 * 2**20


def test_it_takes_the_environment_of_its_container(installation: Installation, gpu: dict[str, Any]) -> None:
    environment = {**IMAGE.environment(), **gpu["services"]["gateway"]["environment"]}
    said = installation.run(gateway(installation), "--print-config", **environment)
    config = json.loads(said)
    assert "a token" not in said
    assert (config["host"], config["triton_address"], config["milvus_uri"], config["crops_dir"]) == (
        "0.0.0.0",  # noqa: S104
        "triton:8001",
        "http://milvus:19530",
        "/var/lib/framelens/crops",
    )


def test_it_starts_without_rights_where_only_the_crops_can_be_written(
    installation: Installation, tmp_path: Path
) -> None:
    crops = tmp_path / "crops"
    crops.mkdir()
    http = free_port()
    environment = installation.environment(
        **{
            **IMAGE.environment(),
            "FRAMELENS_HOST": "127.0.0.1",
            "FRAMELENS_CROPS_DIR": str(crops),
            "FRAMELENS_HTTP_PORT": str(http),
            "FRAMELENS_GRPC_PORT": str(free_port()),
            "FRAMELENS_TRITON_ADDRESS": "127.0.0.1:1",
            "FRAMELENS_MILVUS_URI": "http://127.0.0.1:1",
        }
    )
    command = confined([str(gateway(installation))], crops, tmp_path / "root")
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert answer(f"http://127.0.0.1:{http}/healthz", process)[0] == 200
        status, body = answer(f"http://127.0.0.1:{http}/readyz", process)
        assert (status, json.loads(body)["parts"]["triton"]) == (503, False)
        assert "framelens_part_up" in answer(f"http://127.0.0.1:{http}/metrics", process)[1]
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "Traceback" not in said


def test_nothing_but_the_crops_can_be_written_there(installation: Installation, tmp_path: Path) -> None:
    """What the test above stands on."""
    crops = tmp_path / "crops"
    crops.mkdir()
    tries = f"grep CapEff /proc/self/status; touch {crops}/crop; touch {tmp_path}/other {installation.root}/other"
    command = confined(["sh", "-c", tries], crops, tmp_path / "root")
    english = installation.environment(LC_ALL="C")
    said = subprocess.run(command, env=english, capture_output=True, text=True, check=False, timeout=30)
    assert said.stdout.split() == ["CapEff:", "0000000000000000"]
    assert said.stderr.count("Read-only file system") == 2, said.stderr
    assert [path.name for path in crops.iterdir()] == ["crop"]


def confined(command: list[str], writable: Path, root: Path) -> list[str]:
    """Runs it on a read-only view of this machine laid out in `root`, and with no capability, as compose.yaml does."""
    root.mkdir()
    lay_out = (
        f"mount --rbind / {root} && mount --bind {writable} {root}{writable} && mount -o remount,bind,ro {root} "
        f'&& exec /usr/sbin/chroot {root} setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"'
    )
    unshare = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount"]
    # In a chroot, whose root is no mount, it cannot be set.
    is_mount = (
        subprocess.run([*unshare, "--propagation=private", "true"], capture_output=True, check=False).returncode == 0
    )
    propagation = "private" if is_mount else "unchanged"
    return [*unshare, f"--propagation={propagation}", "sh", "-c", lay_out, "sh", *command]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def answer(url: str, process: subprocess.Popen[str]) -> tuple[int, str]:
    """The status and the body, once the process listens."""
    end = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except urllib.error.URLError:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, "it does not listen"
            time.sleep(0.1)
