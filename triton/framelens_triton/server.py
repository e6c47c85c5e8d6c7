"""`framelens-triton setup|serve`: prepares this environment, and becomes the embedded Triton server."""

import os
import sys
from pathlib import Path

from pydantic_settings import CliApp

from framelens_triton.installation import Installation, InstallationError, fetch_libpython, libpython_directory
from framelens_triton.settings import TritonSettings

_USAGE = "usage: framelens-triton setup | serve [--help] [--FLAG VALUE ...]"


def main() -> None:
    """`setup` fetches what this environment lacks; `serve` replaces this process by tritonserver."""
    command, *flags = sys.argv[1:] or [""]
    try:
        if command == "setup":
            Installation.find()
            print(f"libpython: {fetch_libpython()}")
        elif command == "serve":
            _serve(CliApp.run(TritonSettings, cli_args=flags))
        else:
            sys.exit(_USAGE)
    except InstallationError as error:
        sys.exit(f"framelens-triton: {error}")


def _serve(settings: TritonSettings) -> None:
    if settings.print_config:
        print(settings.model_dump_json(indent=2))
        return
    if not settings.model_repository.is_dir():
        sys.exit(f"framelens-triton: model repository {settings.model_repository} is no directory; run `make engines`")
    installation = Installation.find()
    backends = installation.lay_out_backends((settings.work_dir / "backends").absolute())
    command = server_command(settings, installation, backends)
    os.execve(installation.server, command, server_environment(installation, libpython_directory()))


def server_command(settings: TritonSettings, installation: Installation, backends: Path) -> list[str]:
    """tritonserver's command line: explicit model control, every endpoint on one address."""
    return [
        str(installation.server),
        f"--model-repository={settings.model_repository.absolute()}",
        f"--backend-directory={backends}",
        "--model-control-mode=explicit",
        "--load-model=*",
        f"--grpc-address={settings.host}",
        f"--grpc-port={settings.grpc_port}",
        f"--http-address={settings.host}",
        f"--http-port={settings.http_port}",
        f"--metrics-address={settings.host}",
        f"--metrics-port={settings.metrics_port}",
        f"--exit-timeout-secs={settings.exit_timeout_s}",
        f"--log-verbose={settings.log_verbose}",
    ]


def server_environment(installation: Installation, libpython: Path) -> dict[str, str]:
    """The stub finds its packages through the first `python3` in PATH; PYTHONPATH is not read there."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        "LD_LIBRARY_PATH": f"{libpython}:{installation.libraries}",
    }
