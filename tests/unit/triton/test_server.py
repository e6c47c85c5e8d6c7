"""The embedded server's command line and environment."""

import sys
from pathlib import Path

import pytest

from framelens_triton.installation import Installation, libpython_directory
from framelens_triton.server import loadable_models, main, server_command, server_environment
from framelens_triton.settings import TritonSettings


def test_every_endpoint_is_on_loopback_and_models_change_only_when_told(tmp_path: Path) -> None:
    command = server_command(TritonSettings(_cli_parse_args=False), Installation.find(), tmp_path)
    assert {f"--{endpoint}-address=127.0.0.1" for endpoint in ("grpc", "http", "metrics")} <= set(command)
    assert "--model-control-mode=explicit" in command


def test_models_take_the_configuration_that_is_named(tmp_path: Path) -> None:
    def command(*arguments: str) -> list[str]:
        return server_command(TritonSettings(_cli_parse_args=[*arguments]), Installation.find(), tmp_path)

    assert not any("--model-config-name" in flag for flag in (*command(), *command("--model-config-name=")))
    assert "--model-config-name=tensorrt" in command("--model-config-name=tensorrt")


def test_the_stub_meets_this_environment_first(tmp_path: Path) -> None:
    environment = server_environment(Installation.find(), libpython_directory())
    assert environment["PATH"].split(":")[0] == str(Path(sys.executable).parent)


def test_the_backend_directory_holds_what_triton_looks_for(tmp_path: Path) -> None:
    directory = Installation.find().lay_out_backends(tmp_path / "backends")
    python = {path.name for path in (directory / "python").iterdir()}
    assert python == {"libtriton_python.so", "triton_python_backend_utils.py", "triton_python_backend_stub"}
    # Triton refuses a library that a link leads out of its directory.
    assert not any(path.is_symlink() for path in (directory / "python").iterdir())
    assert (directory / "onnxruntime" / "model.py").is_file()


def test_a_model_without_versions_does_not_keep_the_server_from_starting(tmp_path: Path) -> None:
    for model in ("detector", "own"):
        (tmp_path / model / "1").mkdir(parents=True)
        (tmp_path / model / "config.pbtxt").touch()
    (tmp_path / "own" / "1").rmdir()
    (tmp_path / "no_model" / "1").mkdir(parents=True)
    assert loadable_models(tmp_path) == ["detector"]


def test_a_setting_that_is_wrong_is_named_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["framelens-triton", "serve", "--grpc-port", "0"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == (
        "framelens-triton: FRAMELENS_TRITON_GRPC_PORT or --grpc-port is '0': Input should be greater than or equal to 1"
    )


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_says_what_each_command_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["framelens-triton", flag])
    main()
    shown = capsys.readouterr().out
    assert "setup  fetch" in shown
    assert "serve --help" in shown


def test_an_unknown_command_is_told_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["framelens-triton", "run"])
    with pytest.raises(SystemExit, match="usage: framelens-triton COMMAND"):
        main()


def test_traces_go_to_the_collector_that_is_configured_and_begin_with_callers(tmp_path: Path) -> None:
    def flags(*arguments: str) -> list[str]:
        command = server_command(TritonSettings(_cli_parse_args=[*arguments]), Installation.find(), tmp_path)
        return [flag for flag in command if flag.startswith("--trace")]

    assert flags() == []
    assert "--trace-config=opentelemetry,url=http://collector:4318/v1/traces" in flags(
        "--otlp-endpoint=http://collector:4318/"
    )
