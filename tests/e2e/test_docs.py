"""The examples of docs/api.md and docs/products.md run as they are, for a reader who has come through README.md."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text()
PRODUCTS = (ROOT / "docs" / "products.md").read_text()
README = (ROOT / "README.md").read_text()


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def sample_catalogue(environment: dict[str, str], tmp_path: Path) -> None:
    catalogue = [
        "perf/framelens_perf/sample_catalog.csv",
        "--images",
        "var/samples",
        "--state",
        str(tmp_path / "state"),
    ]
    subprocess.run(["framelens", "products", "import", *catalogue], cwd=ROOT, env=environment, check=True)


@pytest.mark.usefixtures("sample_catalogue")
def test_the_python_examples_run(served: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    blocks = examples("python")
    assert len(blocks) == 3
    # Of the product that the first example stores.
    for block in [*blocks, *re.findall(r"```python\n(.*?)```", PRODUCTS, re.DOTALL)]:
        exec(block, {"GRPC": served["grpc"]})  # noqa: S102 - our own page


def test_the_commands_of_the_readme_run(environment: dict[str, str], tmp_path: Path) -> None:
    """Those for a running stack, against the tests' stack and with what they write in a folder of the test."""
    (block,) = (each for each in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "framelens recognize" in each)
    _, *commands = block.replace("var/answer.png", str(tmp_path / "answer.png")).splitlines()
    commands[0] += f" --state {tmp_path / 'state'}"
    for command in commands:
        done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert (tmp_path / "answer.png").is_file()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_the_curl_examples_run(environment: dict[str, str]) -> None:
    blocks = examples("sh")
    assert len(blocks) == 2
    for block in blocks:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=ROOT, env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        assert json.loads(done.stdout)["served"]["collections"]
