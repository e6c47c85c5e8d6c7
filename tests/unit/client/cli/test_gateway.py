from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from framelens_client.cli.command import framelens


def status(*arguments: str, **environment: str) -> Any:
    return CliRunner().invoke(framelens, [*arguments, "status"], env=environment)


@pytest.fixture
def serve_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "var" / "serve.json"
    path.parent.mkdir()
    deep = tmp_path / "some" / "folder"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    return path


def test_the_address_of_serve_json_is_found_from_below(gateway: Any, serve_file: Path) -> None:
    serve_file.write_text(f'{{"grpc": "{gateway.address}", "http": "127.0.0.1:1"}}')
    assert status().exit_code == 0


def test_the_environment_comes_before_the_file_and_the_option_before_both(gateway: Any, serve_file: Path) -> None:
    serve_file.write_text('{"grpc": "127.0.0.1:1"}')
    assert status().exit_code == 1
    assert status(FRAMELENS_ADDRESS=gateway.address).exit_code == 0
    assert status("--address", gateway.address, FRAMELENS_ADDRESS="127.0.0.1:1").exit_code == 0


def test_no_address(serve_file: Path) -> None:
    done = status()
    assert done.exit_code == 2
    assert "pass --address HOST:PORT" in done.stderr


@pytest.mark.parametrize("content", ["", "[]", '{"http": "127.0.0.1:1"}', '{"grpc": 8001}'])
def test_a_serve_json_that_is_of_no_use(serve_file: Path, content: str) -> None:
    serve_file.write_text(content)
    done = status()
    assert done.exit_code == 2
    assert "serve.json" in done.stderr
