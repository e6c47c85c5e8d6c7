"""Becomes NVIDIA's tritonserver, with the flags of the embedded one (FRAMELENS_TRITON_...) and those it is given."""

import os
import sys
from pathlib import Path

from framelens_triton.installation import Installation
from framelens_triton.server import loadable_models, server_command
from framelens_triton.settings import TritonSettings

TRITON = Path("/opt/tritonserver")


def command(settings: TritonSettings, flags: list[str]) -> list[str]:
    """tritonserver's command line; `flags` are its own, such as --log-verbose=1."""
    python_backend = TRITON / "backends" / "python"
    installation = Installation(
        server=TRITON / "bin" / "tritonserver",
        backend=python_backend,
        stub=python_backend / "triton_python_backend_stub",
        libraries=TRITON / "lib",
    )
    return [*server_command(settings, installation, TRITON / "backends"), *flags]


def main() -> None:
    settings = TritonSettings()
    if not loadable_models(settings.model_repository):
        sys.exit(f"{settings.model_repository} has no model with a version; mount a model repository that has engines")
    line = command(settings, sys.argv[1:])
    os.execv(line[0], line)


if __name__ == "__main__":
    main()
