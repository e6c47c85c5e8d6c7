"""The Dockerfiles as text: lint, pinned images, the files that they copy, and who the containers run as."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from docker_image import DOCKERFILES, ROOT, Image, context, in_context

HADOLINT = Path(sys.executable).with_name("hadolint")


def lint(text: str) -> subprocess.CompletedProcess[str]:
    command = [HADOLINT, "--no-color", "--failure-threshold=style", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=30)


def test_both_images_are_here() -> None:
    assert [path.name for path in DOCKERFILES] == ["gateway.Dockerfile", "triton.Dockerfile"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_hadolint_finds_nothing(path: Path) -> None:
    found = lint(path.read_text())
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("FROM python:latest\n", "DL3007"),
        ("FROM python:3.11\nRUN pip install numpy\n", "DL3013"),
        ("FROM python:3.11\nRUN cd /tmp && echo $UNQUOTED\n", "SC2086"),
    ],
)
def test_hadolint_would_find_a_fault(fault: str, rule: str) -> None:
    found = lint(fault)
    assert found.returncode != 0
    assert rule in found.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_what_is_copied_exists_and_is_sent_to_docker(path: Path) -> None:
    files = context()
    copied = [source for copy in Image(path).copies() if copy.stage is None for source in copy.sources]
    assert copied
    assert [source for source in copied if not in_context(source, files)] == []


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_copies_of_stages_name_stages(path: Path) -> None:
    image = Image(path)
    stages = {words[2] for stage in image.stages() if len(words := stage[0][1].split()) == 3}
    assert {copy.stage for copy in image.copies() if copy.stage is not None} <= stages


def test_nothing_else_is_sent_to_docker() -> None:
    files = context()
    assert {path.partition("/")[0] for path in files} == {"client", "gateway", "triton", "constraints", "docker"}
    assert [path for path in files if re.search(r"__pycache__|\.egg-info|\.env|/build/", path)] == []
    assert sum((ROOT / path).stat().st_size for path in files) < 2**21, "the context is sources alone"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_base_images_are_pinned(path: Path) -> None:
    for stage in Image(path).stages():
        assert re.search(r":\d+\.\d+\S*(\s+AS\s+\w+)?$", stage[0][1]), stage[0]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_nobody_is_root(path: Path) -> None:
    user = Image(path).values("USER")[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "a number, so that it can be checked not to be root"
