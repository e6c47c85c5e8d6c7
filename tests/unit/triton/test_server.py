"""The embedded server's command line and environment."""

import sys
from pathlib import Path

from framelens_triton.installation import Installation, libpython_directory
from framelens_triton.server import server_command, server_environment
from framelens_triton.settings import TritonSettings


def test_every_endpoint_is_on_loopback_and_models_change_only_when_told(tmp_path: Path) -> None:
    command = server_command(TritonSettings(_cli_parse_args=False), Installation.find(), tmp_path)
    assert {f"--{endpoint}-address=127.0.0.1" for endpoint in ("grpc", "http", "metrics")} <= set(command)
    assert "--model-control-mode=explicit" in command


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
