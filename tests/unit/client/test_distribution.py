"""What an installation of the client brings with it, and that the generated code is current."""

import os
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

import framelens_client

LIGHT = {
    "googleapis-common-protos",
    "grpcio",
    "grpcio-health-checking",
    "protobuf",
    "typing-extensions",
}


def installed_with(name: str) -> set[str]:
    """Distributions that pip installs for this one without an extra, itself left out."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for text in requires(waiting.pop()) or ():
            requirement = Requirement(text)
            needed = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if needed not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                found.add(needed)
                waiting.append(needed)
    return found


def test_the_client_is_light() -> None:
    assert installed_with("framelens-client") == LIGHT


def test_the_client_imports_without_its_extras() -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(['click', 'rich', 'PIL'])); import framelens_client"
    subprocess.run([sys.executable, "-W", "error", "-c", blocked], check=True)


def test_the_command_says_what_it_lacks() -> None:
    code = "import sys; sys.modules['rich'] = None; from framelens_client.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'framelens-client[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_generated_code_is_current(tmp_path: Path) -> None:
    """To bring it up to date, run this command in client/ with every *_out set to `.`, with the pinned versions."""
    package = Path(framelens_client.__file__).parent
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, "framelens_client/v1/framelens.proto"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=package.parent, env=os.environ | {"PATH": path}, check=True)
    generated = {file.name: file.read_text() for file in (tmp_path / "framelens_client" / "v1").iterdir()}
    assert len(generated) == 4
    for name, text in generated.items():
        assert (package / "v1" / name).read_text() == text, f"{name} is stale: generate it again"
