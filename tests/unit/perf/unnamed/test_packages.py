"""Packages are fetched once, and a failure says which one and why."""

from pathlib import Path

import pytest

from framelens_perf.unnamed.packages import unpacked
from framelens_triton.debian_packages import PackageError


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """apt-get and dpkg that only note what they were asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, does in (("apt-get", 'touch "${@: -1}_1_all.deb"'), ("dpkg", 'touch "$3/$(basename $2)"')):
        tool = folder / name
        tool.write_text(f'#!/bin/bash\necho {name} "$@" >> {tmp_path}/asked\n{does}\n')
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.mark.usefixtures("tools")
def test_each_is_fetched_once(tmp_path: Path) -> None:
    for _ in range(2):
        root = unpacked(["cups", "hats"], tmp_path / "packages")
        assert sorted(file.name for file in root.iterdir()) == ["cups_1_all.deb", "hats_1_all.deb"]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[:2] for line in asked] == [["apt-get", "download"], ["dpkg", "-x"]] * 2


def test_a_failure_names_its_package_and_is_tried_again(tmp_path: Path, tools: Path) -> None:
    apt = (tools / "apt-get").read_text()
    (tools / "apt-get").write_text("#!/bin/sh\necho 'E: no such package' >&2\nexit 100\n")
    with pytest.raises(PackageError, match="could not download cups(.|\n)*no such package"):
        unpacked(["cups"], tmp_path / "packages")
    (tools / "apt-get").write_text(apt)
    unpacked(["cups"], tmp_path / "packages")


def test_another_system_is_told_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackageError, match="cups is a package of Debian.* no apt-get"):
        unpacked(["cups"], tmp_path / "packages")
