"""`framelens-triton setup|serve`: prepares this environment, and becomes the embedded Triton server."""

import os
import sys
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import CliApp

from framelens_triton.installation import Installation, InstallationError, fetch_libpython, libpython_directory
from framelens_triton.settings import TritonSettings

# Triton traces one of so many requests that belong to no trace.
_NO_TRACE_OF_ITS_OWN = 2**31 - 1
_USAGE = """\
usage: framelens-triton COMMAND

Runs the embedded Triton of this virtual environment; `make serve` does so for you.

commands:
  setup  fetch the libpython that Triton's Python backend needs, once for each environment
  serve  become the Triton server; `framelens-triton serve --help` lists its flags (FRAMELENS_TRITON_... variables too)
"""


def main() -> None:
    """`setup` fetches what this environment lacks; `serve` replaces this process by tritonserver."""
    command, *flags = sys.argv[1:] or [""]
    try:
        if command == "setup":
            Installation.find()
            print(f"libpython: {fetch_libpython()}")
        elif command == "serve":
            _serve(_settings(flags))
        elif command in ("-h", "--help"):
            print(_USAGE, end="")
        else:
            sys.exit(_USAGE)
    except InstallationError as error:
        sys.exit(f"framelens-triton: {error}")


def _settings(flags: list[str]) -> TritonSettings:
    try:
        return CliApp.run(TritonSettings, cli_args=flags)
    except ValidationError as error:
        sys.exit("\n".join(f"framelens-triton: {_fault(detail)}" for detail in error.errors(include_url=False)))
    except ValueError as error:
        sys.exit(f"framelens-triton: {error}")


def _fault(detail: ErrorDetails) -> str:
    """A setting as a person sets it, its value, and what is needed."""
    name = ".".join(map(str, detail["loc"]))
    variable = f"{TritonSettings.model_config['env_prefix']}{name.upper()}"
    return f"{variable} or --{name.replace('_', '-')} is {detail['input']!r}: {detail['msg']}"


def _serve(settings: TritonSettings) -> None:
    if settings.print_config:
        print(settings.model_dump_json(indent=2))
        return
    if not loadable_models(settings.model_repository):
        sys.exit(f"framelens-triton: {settings.model_repository} has no model with a version; run `make engines`")
    installation = Installation.find()
    backends = installation.lay_out_backends((settings.work_dir / "backends").absolute())
    command = server_command(settings, installation, backends)
    os.execve(installation.server, command, server_environment(installation, libpython_directory()))


def server_command(settings: TritonSettings, installation: Installation, backends: Path) -> list[str]:
    """tritonserver's command line: explicit model control, every endpoint on one address."""
    return [
        str(installation.server),
        f"--model-repository={settings.model_repository.absolute()}",
        *([f"--model-config-name={settings.model_config_name}"] if settings.model_config_name else []),
        f"--backend-directory={backends}",
        "--model-control-mode=explicit",
        *(f"--load-model={model}" for model in loadable_models(settings.model_repository)),
        f"--grpc-address={settings.host}",
        f"--grpc-port={settings.grpc_port}",
        f"--http-address={settings.host}",
        f"--http-port={settings.http_port}",
        f"--metrics-address={settings.host}",
        f"--metrics-port={settings.metrics_port}",
        f"--exit-timeout-secs={settings.exit_timeout_s}",
        f"--log-verbose={settings.log_verbose}",
        *(_trace_flags(settings.otlp_endpoint) if settings.otlp_endpoint else ()),
    ]


def _trace_flags(endpoint: str) -> list[str]:
    """Only requests that belong to a trace are traced: whoever begins it has chosen them."""
    return [
        "--trace-config=mode=opentelemetry",
        f"--trace-config=opentelemetry,url={endpoint.rstrip('/')}/v1/traces",
        "--trace-config=opentelemetry,resource=service.name=triton",
        "--trace-config=level=TIMESTAMPS",
        f"--trace-config=rate={_NO_TRACE_OF_ITS_OWN}",
    ]


def loadable_models(repository: Path) -> list[str]:
    """Those that have a version: one without would keep the whole server from starting."""
    described = (path.parent for path in repository.glob("*/config.pbtxt"))
    return sorted(folder.name for folder in described if any(path.name.isdecimal() for path in folder.iterdir()))


def server_environment(installation: Installation, libpython: Path) -> dict[str, str]:
    """The stub finds its packages through the first `python3` in PATH; PYTHONPATH is not read there."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        "LD_LIBRARY_PATH": f"{libpython}:{installation.libraries}",
    }
