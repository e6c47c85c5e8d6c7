"""A crop that is there is whole, and on disk before anybody is told."""

import os
from pathlib import Path

import pytest

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
    store = CropStore(tmp_path)
    await store.save({"ab12": b"crop"})
    assert len(synced) == 2
    assert Path(synced[0]).parent == tmp_path / "ab"
    assert Path(synced[1]) == tmp_path / "ab"


async def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    store = CropStore(tmp_path)
    with pytest.raises(OSError, match="No space"):
        await store.save({"ab12": b"crop"})
    assert files(tmp_path) == []


async def test_no_reader_sees_half_of_a_crop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
