"""A Dockerfile's steps, read from the file, and run in a folder that stands for the image's root."""

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docker.utils.build import exclude_paths
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
_STEP_TIMEOUT_S = 240
# Of NVIDIA's image, which is Ubuntu 24.04.
_TRITONS_PYTHON = "3.12"
# Variables that say where pip finds packages.
_INDEX = ("PIP_", "SSL_", "REQUESTS_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Copy:
    """Of files of the build's context, or, with `stage`, of another stage."""

    sources: tuple[str, ...]
    target: str
    stage: str | None


class Image:
    """The instructions of one Dockerfile."""

    def __init__(self, path: Path) -> None:
        self.steps: list[tuple[str, str]] = [
            (step["instruction"], step["value"])
            for step in DockerfileParser(fileobj=io.BytesIO(path.read_bytes())).structure
            if step["instruction"] != "COMMENT"
        ]

    def stages(self) -> list[list[tuple[str, str]]]:
        """Its instructions by stage; the last one is the image."""
        stages: list[list[tuple[str, str]]] = []
        for instruction, value in self.steps:
            if instruction == "FROM":
                stages.append([])
            stages[-1].append((instruction, value))
        return stages

    def values(self, instruction: str) -> list[str]:
        """Of the image itself, the last stage."""
        return [value for name, value in self.stages()[-1] if name == instruction]

    def copies(self) -> Iterator[Copy]:
        for instruction, value in self.steps:
            if instruction in ("COPY", "ADD"):
                yield _copy(value)

    def environment(self) -> dict[str, str]:
        """What the image sets, but PATH."""
        pairs = (pair.split("=", 1) for value in self.values("ENV") for pair in shlex.split(value))
        return {name: value for name, value in pairs if name != "PATH"}

    def ports(self) -> set[int]:
        return {int(port) for value in self.values("EXPOSE") for port in value.split()}

    def entrypoint(self) -> list[str]:
        return list(json.loads(self.values("ENTRYPOINT")[-1]))

    def python(self) -> Path:
        """An interpreter of the image's version, or else the one that runs the tests."""
        tag = re.search(r"python:(\d+\.\d+)", self.values("FROM")[-1])
        found = shutil.which(f"python{tag[1] if tag else _TRITONS_PYTHON}")
        if found is None or subprocess.run([found, "--version"], capture_output=True, check=False).returncode != 0:
            return Path(sys.executable)
        return Path(found)


def context() -> set[str]:
    """The files that Docker would send of this repository, by path from its root."""
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    # It goes along for Docker itself.
    return {path for path in exclude_paths(str(ROOT), patterns) if (ROOT / path).is_file()} - {".dockerignore"}


def in_context(source: str, files: set[str]) -> list[str]:
    """The files that a COPY of `source` takes."""
    source = source.rstrip("/")
    return sorted(path for path in files if path == source or path.startswith(f"{source}/"))


class Installation:
    """The image's Python, and what its COPY and pip steps make of it; paths of the image lie below `root`."""

    def __init__(self, image: Image, root: Path) -> None:
        self.root = root
        self._bin = root / "usr" / "bin"
        uses_pip = any("python3 -m pip" in value for name, value in image.steps if name == "RUN")
        options = [] if uses_pip else ["--without-pip"]
        subprocess.run([image.python(), "-m", "venv", *options, root / "usr"], check=True, timeout=_STEP_TIMEOUT_S)
        # The RUN steps that were run, as they stand in the file.
        self.ran: list[str] = []
        for stage in image.stages():
            self._take(stage)

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def run(self, *command: str | Path, **environment: str) -> str:
        """What a command said that ran with no environment but this. Raises AssertionError with what it said."""
        done = subprocess.run(
            command, env=self.environment(**environment), capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": f"{self._bin}:/usr/bin:/bin", "HOME": "/nonexistent"} | more

    def _take(self, stage: list[tuple[str, str]]) -> None:
        files, here = context(), self.root
        for instruction, value in stage:
            if instruction == "WORKDIR":
                here = self.path(value)
                here.mkdir(parents=True, exist_ok=True)
            elif instruction == "COPY" and (copy := _copy(value)).stage is None:
                self._copy(copy, here, files)
            elif instruction == "RUN" and " pip " in f" {value.replace('/', ' ')} ":
                self._run(value, here)

    def _copy(self, copy: Copy, here: Path, files: set[str]) -> None:
        target = here / copy.target if not copy.target.startswith("/") else self.path(copy.target)
        for source in copy.sources:
            taken = in_context(source, files)
            assert taken, f"COPY {source}: there is no such file in the context"
            for path in taken:
                below = Path(path).relative_to(source) if path != source else Path()
                as_file = path == source and (copy.target.endswith("/") or len(copy.sources) > 1)
                final = target / Path(path).name if as_file else target / below
                final.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, final)

    def _run(self, command: str, here: Path) -> None:
        """A RUN step. Of the environment it has only where packages come from; to be done in half the time it uses the
        wheels that pip has already, and compiles nothing that is not imported.
        """
        moved = command.replace("/opt/framelens", str(self.path("/opt/framelens"))).replace("--no-cache-dir ", "")
        index = {name: value for name, value in os.environ.items() if name.startswith(_INDEX)}
        done = subprocess.run(
            ["sh", "-c", moved],
            cwd=here,
            env=self.environment(**index, HOME=os.environ.get("HOME", "/"), PIP_COMPILE="0"),
            capture_output=True,
            text=True,
            check=False,
            timeout=_STEP_TIMEOUT_S,
        )
        assert done.returncode == 0, f"RUN {moved}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        self.ran.append(command)


def _copy(value: str) -> Copy:
    words = shlex.split(value)
    stage = next((word.removeprefix("--from=") for word in words if word.startswith("--from=")), None)
    *sources, target = [word for word in words if not word.startswith("--")]
    return Copy(tuple(sources), target, stage)
