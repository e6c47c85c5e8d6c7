"""The peers' own virtual environment: their packages and ours would pull at each other's versions."""

import json
import subprocess
import sys
from pathlib import Path

from framelens_perf.peers.failures import PeerFailure

_ROOT = Path(__file__).parents[3]
_CONSTRAINTS = _ROOT / "constraints" / "peers.txt"
# numpy, onnxruntime and Pillow come at the server's versions: they do most of the work that is compared.
_REQUIREMENTS = (
    "fastapi",
    "uvicorn[standard]",
    "python-multipart",
    "litserve",
    "bentoml",
    "onnxruntime",
    "pydantic-settings",
    "-e",
    str(_ROOT / "triton"),
)


def prepared(environment: Path) -> Path:
    """Creates the environment unless it is there and as new as its constraints. Raises PeerFailure."""
    ready = environment / ".ready"
    if not ready.exists() or ready.stat().st_mtime < _CONSTRAINTS.stat().st_mtime:
        _run([sys.executable, "-m", "venv", str(environment)])
        pip = [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "-c", str(_CONSTRAINTS), *_REQUIREMENTS])
        ready.touch()
    return environment


def versions(environment: Path) -> dict[str, str]:
    """Of every package there. Raises PeerFailure."""
    listed = _run([str(environment / "bin" / "pip"), "list", "--format=json", "--disable-pip-version-check"])
    return {each["name"]: each["version"] for each in json.loads(listed)}


def _run(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise PeerFailure(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout
