"""`framelens-stack`: addresses, serve.json, settings."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framelens_gateway.stack import main as stack_main
from framelens_gateway.stack.parts import Addresses, gateway_part, milvus_part, triton_part
from framelens_gateway.stack.settings import StackSettings

ADDRESSES = Addresses(*(f"127.0.0.1:{port}" for port in range(7001, 7007)))


class Running:
    pids: dict[str, int] = {"triton": 1, "milvus": 2, "gateway": 3}  # noqa: RUF012


def test_every_endpoint_gets_a_port_of_its_own() -> None:
    chosen = Addresses.choose(StackSettings()).as_dict()
    assert set(chosen) == {"grpc", "http", "triton_grpc", "triton_http", "triton_metrics", "milvus"}
    assert len(set(chosen.values())) == 6
    assert Addresses.choose(StackSettings(grpc_port=7999)).grpc == "127.0.0.1:7999"


def test_the_gateway_can_listen_on_an_ipv6_address() -> None:
    settings = StackSettings(host="::1", grpc_port=7998, http_port=7999)
    addresses = Addresses.choose(settings)
    assert (addresses.grpc, addresses.http) == ("[::1]:7998", "[::1]:7999")
    environment = gateway_part(settings, addresses).environment
    assert (environment["FRAMELENS_HOST"], environment["FRAMELENS_GRPC_PORT"]) == ("::1", "7998")


def test_no_part_listens_beyond_loopback(tmp_path: Path) -> None:
    settings = StackSettings(var_dir=tmp_path)
    milvus = milvus_part(settings, ADDRESSES)
    assert "--host=127.0.0.1" in milvus.command
    assert "--port=7006" in milvus.command
    assert "--grpc-port=7003" in triton_part(settings, ADDRESSES).command
    assert gateway_part(settings, ADDRESSES).environment["FRAMELENS_MILVUS_URI"] == "http://127.0.0.1:7006"


def test_serve_json_is_replaced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "serve.json"
    path.write_text("old")
    seen: list[str] = []
    real = Path.rename
    monkeypatch.setattr(Path, "rename", lambda new, to: (seen.append(path.read_text()), real(new, to)))
    stack_main._write(path, ADDRESSES, Running())  # type: ignore[arg-type]
    assert seen == ["old"]
    assert json.loads(path.read_text()) == {**ADDRESSES.as_dict(), "pids": Running.pids}
    assert list(tmp_path.iterdir()) == [path]


def test_only_one_stack_runs_on_a_folder(tmp_path: Path) -> None:
    with (
        stack_main._only_one(tmp_path),
        pytest.raises(BlockingIOError, match="a stack runs already"),
        stack_main._only_one(tmp_path),
    ):
        pass
    with stack_main._only_one(tmp_path):
        pass


async def test_work_ends_by_itself_by_a_signal_or_by_failing() -> None:
    async def works() -> None:
        await asyncio.sleep(0)

    async def fails() -> None:
        raise ValueError("no")

    stop = asyncio.Event()
    assert await stack_main._unless_stopped(works(), stop)
    with pytest.raises(ValueError, match="no"):
        await stack_main._unless_stopped(fails(), stop)
    asyncio.get_running_loop().call_later(0.01, stop.set)
    assert not await stack_main._unless_stopped(asyncio.sleep(60), stop)


def run(program: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_missing_program_is_named_without_a_traceback(tmp_path: Path) -> None:
    ended = run("framelens-stack", f"--server-env={tmp_path / 'none'}", f"--var-dir={tmp_path / 'var'}")
    assert ended.returncode == 1
    assert "framelens-stack: triton cannot be run" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "var" / "serve.json").exists()


def test_the_configuration_is_printed_with_its_secrets_masked() -> None:
    ended = run(
        "framelens-gateway",
        "--print-config",
        FRAMELENS_TOKENS='["hush"]',
        FRAMELENS_MILVUS_TOKEN="hush",  # noqa: S106 - no secret
        FRAMELENS_HTTP_PORT="9",
    )
    read: dict[str, Any] = json.loads(ended.stdout)
    assert read["http_port"] == 9
    assert "hush" not in ended.stdout
    assert json.loads(run("framelens-stack", "--print-config").stdout)["start_timeout_s"] == 120


@pytest.mark.parametrize("flag", ["--max-in-flight=0", "--index-type=GPU", "--grpc-port=x"])
def test_a_wrong_setting_is_named_without_a_traceback(flag: str) -> None:
    ended = run("framelens-gateway", flag)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert flag.partition("=")[0].strip("-").replace("-", "_") in ended.stderr.replace("-", "_")


def test_a_wrong_routing_file_is_named_without_a_traceback(tmp_path: Path, unused: Callable[[], int]) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text("default: shops")
    ended = run("framelens-gateway", f"--routing-file={path}", f"--grpc-port={unused()}", f"--http-port={unused()}")
    assert ended.returncode == 1
    assert "framelens-gateway: routing file" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_is_named_without_a_traceback(unused: Callable[[], int]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        for flags in (
            (f"--grpc-port={port}", f"--http-port={unused()}"),
            (f"--grpc-port={unused()}", f"--http-port={port}"),
        ):
            ended = run("framelens-gateway", *flags)
            assert ended.returncode == 1
            assert str(port) in ended.stderr
            assert "Traceback" not in ended.stderr
