"""Fetching libpython where the system has none: apt-get and dpkg as scripts that this test writes."""

import sys
from pathlib import Path

import pytest

from framelens_triton import debian_packages, installation
from framelens_triton.installation import InstallationError, fetch_libpython

LIBRARY = f"libpython3.{sys.version_info.minor}.so.1.0"
# Writes the package where apt-get would; the first one asked for does not exist in this distribution.
DOWNLOADS = '[ "${@: -1}" = "$EXISTS" ] && touch "$EXISTS.deb" || { echo "E: no ${@: -1}" >&2; exit 100; }'
UNPACKS = f'mkdir -p "$3/usr/lib/x86_64-linux-gnu" && echo library > "$3/usr/lib/x86_64-linux-gnu/{LIBRARY}"'


class Machine:
    """A machine without libpython, whose `apt-get` and `dpkg` do as told."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bin = root / "bin"
        self._bin.mkdir()
        self.private = root / "environment" / "lib" / "libpython"
        monkeypatch.setenv("PATH", f"{self._bin}:/usr/bin:/bin")
        monkeypatch.setattr(debian_packages.shutil, "which", lambda name: str(self._bin / name))
        monkeypatch.setattr(installation.sysconfig, "get_config_var", lambda _: str(root / "nowhere"))
        monkeypatch.setattr(installation, "_SYSTEM_LIBRARIES", root / "nowhere")
        monkeypatch.setattr(installation.sys, "prefix", str(root / "environment"))

    def program(self, name: str, script: str) -> None:
        (self._bin / name).write_text(f"#!/bin/bash\n{script}\n")
        (self._bin / name).chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize("package", installation._PACKAGES)
def test_it_is_unpacked_into_the_environment(machine: Machine, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setenv("EXISTS", package)
    machine.program("apt-get", DOWNLOADS)
    machine.program("dpkg", UNPACKS)
    assert fetch_libpython() == machine.private
    assert (machine.private / LIBRARY).read_text() == "library\n"
    machine.program("apt-get", "exit 1")
    assert fetch_libpython() == machine.private


def test_a_failed_download_says_what_apt_said_and_names_the_packages(machine: Machine) -> None:
    machine.program("apt-get", 'echo "E: no network" >&2; exit 100')
    machine.program("dpkg", "exit 1")
    with pytest.raises(InstallationError, match=f"{installation._PACKAGES[0]}.*by hand:\nE: no network"):
        fetch_libpython()


def test_a_package_that_does_not_unpack_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXISTS", installation._PACKAGES[0])
    machine.program("apt-get", DOWNLOADS)
    machine.program("dpkg", "exit 2")
    with pytest.raises(InstallationError, match=r"could not unpack .*\.deb.*\ndpkg ended with status 2"):
        fetch_libpython()


def test_another_distribution_is_told_what_is_missing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_packages.shutil, "which", lambda _: None)
    with pytest.raises(InstallationError, match=f"{LIBRARY} is missing: .* this machine has no apt-get"):
        fetch_libpython()


def test_every_backend_of_this_package_lies_beside_tritons_own(tmp_path: Path) -> None:
    parts = tmp_path / "wheel"
    parts.mkdir()
    for name in ("libtriton_python.so", "triton_python_backend_utils.py", "stub"):
        (parts / name).touch()
    found = installation.Installation(parts, parts, parts / "stub", parts).lay_out_backends(tmp_path / "backends")
    assert sorted(path.name for path in found.iterdir()) == ["onnxruntime", "python", "tensorrt"]
    assert all((found / name / "model.py").is_file() for name in ("onnxruntime", "tensorrt"))
