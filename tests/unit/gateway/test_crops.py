"""A crop that is there is whole, and on disk before anybody is told."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from framelens_gateway import durable_files
from framelens_gateway.crops import CropStore, picture_id


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def test_saves_and_deletes(tmp_path: Path) -> None:
    store = CropStore(tmp_path / "crops")
    names = {picture_id("p", bytes([n])): bytes([n]) * 10 for n in range(5)}
    await store.save(names)
    assert {name: store.path(name).read_bytes() for name in names} == names
    assert len(files(tmp_path)) == 5
    await store.delete({*names, "0" * 32})
    assert files(tmp_path) == []


async def test_each_file_and_its_folder_are_synced_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(str(Path(f"/proc/self/fd/{file}").readlink())))
    (tmp_path / "ab").mkdir()
    store = CropStore(tmp_path)
    await store.save({"ab12": b"crop"})
    assert len(synced) == 2
    assert Path(synced[0]).parent == tmp_path / "ab"
    assert Path(synced[1]) == tmp_path / "ab"


async def test_a_new_folder_is_synced_into_the_one_that_it_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink()))
    store = CropStore(tmp_path / "var" / "crops")
    await store.save({"ab12": b"crop", "cd34": b"crop"})
    folders = [folder for folder in synced if folder.is_dir()]
    kept_in = tmp_path / "var" / "crops"
    assert folders[:3] == [tmp_path, tmp_path / "var", kept_in]
    assert folders.count(kept_in) == 2
    synced.clear()
    await store.save({"ab56": b"crop"})
    assert [folder for folder in synced if folder.is_dir()] == [kept_in / "ab"]


async def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "ab").mkdir()
    monkeypatch.setattr(os, "fsync", full)
    store = CropStore(tmp_path)
    with pytest.raises(OSError, match="No space"):
        await store.save({"ab12": b"crop"})
    assert files(tmp_path) == []


async def test_no_reader_sees_half_of_a_crop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ab").mkdir()
    store = CropStore(tmp_path)
    seen: list[bool] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (seen.append(store.path("ab12").exists()), real(file)))
    await store.save({"ab12": b"crop"})
    assert seen == [False, True]


def test_no_two_products_share_a_file() -> None:
    assert picture_id("a", b"x") != picture_id("b", b"x")
    assert picture_id("a", b"x") != picture_id("a", b"y")
    assert picture_id("ab", b"c") != picture_id("a", b"bc")


def leave_behind(file: Path, seconds_ago: float) -> Path:
    """As a write does that is killed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"half a crop")
    os.utime(file, (time.time() - seconds_ago,) * 2)
    return file


async def test_what_killed_writes_have_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    store = CropStore(tmp_path)
    await store.save({"ab12": b"crop"})
    os.utime(store.path("ab12"), (0, 0))
    abandoned = [leave_behind(tmp_path / folder / "tmpx1y2", 4000) for folder in ("ab", "cd")]
    kept = [
        leave_behind(tmp_path / "ab" / "tmpyoung", 3000),
        leave_behind(tmp_path / "tmpother", 4000),
        leave_behind(tmp_path / "other" / "tmpother", 4000),
    ]
    await store.sweep()
    assert not any(file.exists() for file in abandoned)
    assert files(tmp_path) == sorted([store.path("ab12"), *kept])


async def test_what_a_write_leaves_when_it_is_killed_is_known_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, left = CropStore(tmp_path), tmp_path / "left"
    monkeypatch.setattr(os, "fsync", lambda file: left.write_text(str(Path(f"/proc/self/fd/{file}").readlink())))
    monkeypatch.setattr(durable_files, "_sync", lambda _: None)
    await store.save({"ab12": b"crop"})
    abandoned = leave_behind(Path(left.read_text()), 4000)
    await store.sweep()
    assert not abandoned.exists()
    assert store.path("ab12").exists()


async def test_a_sweep_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    await CropStore(tmp_path / "not there yet").sweep()
    assert caplog.text == ""
    leave_behind(tmp_path / "ab" / "tmpx1y2", 4000)

    def gone(_: Path, *, missing_ok: bool = False) -> None:
        raise FileNotFoundError("another gateway was faster")

    monkeypatch.setattr(Path, "unlink", gone)
    await CropStore(tmp_path).sweep()
    assert caplog.text == ""

    def refused(_: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refused)
    await CropStore(tmp_path).sweep()
    assert "could not remove" in caplog.text
