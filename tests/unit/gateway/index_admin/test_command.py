"""The command itself: where it finds its parts, what it prints, and how it ends."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from admin_fakes import World
from click.testing import CliRunner, Result
from gateway_fakes import SIZE, SPACE, MilvusLite, free_port, product_row

from framelens_gateway.index import MilvusIndex
from framelens_gateway.index_admin import state as state_module
from framelens_gateway.index_admin.alterations import ALTERATIONS, altered, probe_picture
from framelens_gateway.index_admin.command import framelens_index
from framelens_gateway.index_admin.connection import admin_settings
from framelens_gateway.index_admin.errors import AdminError, Busy
from framelens_gateway.index_admin.lock import only_one
from framelens_gateway.index_admin.state import read_state

Run = Callable[..., Result]


def serve_file(folder: Path, text: str | None = None) -> Path:
    path = folder / "var" / "serve.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text or json.dumps({"milvus": "127.0.0.1:1", "triton_grpc": "127.0.0.1:2"}))
    return path


def test_a_stack_that_runs_here_is_found_from_a_folder_below(tmp_path: Path) -> None:
    serve_file(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = admin_settings({}, below)
    assert (found.milvus_uri, found.triton_address) == ("http://127.0.0.1:1", "127.0.0.1:2")
    assert found.crops_dir == tmp_path / "var" / "crops"


def test_what_is_told_comes_before_the_environment_and_that_before_the_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_file(tmp_path)
    monkeypatch.setenv("FRAMELENS_MILVUS_URI", "http://elsewhere:3")
    monkeypatch.setenv("FRAMELENS_CROPS_DIR", "/crops")
    found = admin_settings({"crops_dir": Path("/told")}, tmp_path)
    assert (found.milvus_uri, found.triton_address) == ("http://elsewhere:3", "127.0.0.1:2")
    assert found.crops_dir == Path("/told")


@pytest.mark.parametrize("text", ["{", "[]", "{}", "3"])
def test_a_serve_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    serve_file(tmp_path, text)
    with pytest.raises(AdminError, match="serve.json does not say where"):
        admin_settings({}, tmp_path)


def test_one_command_for_an_alias_at_once(tmp_path: Path) -> None:
    with only_one(tmp_path / "crops", "products"):
        with (
            pytest.raises(Busy, match="another framelens-index works on products"),
            only_one(tmp_path / "crops", "products"),
        ):
            pass
        with only_one(tmp_path / "crops", "videos"):
            pass
    with only_one(tmp_path / "crops", "products"):
        pass


@pytest.fixture
def run(tmp_path: Path, milvus: MilvusLite, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    told = [f"--milvus={milvus.uri}", f"--triton=127.0.0.1:{free_port()}", f"--crops={tmp_path / 'crops'}"]
    return lambda *arguments: CliRunner().invoke(framelens_index, [*told, *arguments])


@pytest.fixture
async def indexed(milvus_index: MilvusIndex) -> str:
    name = (await milvus_index.create("wares", SPACE, SIZE)).name
    await milvus_index.upsert(name, [product_row(f"p{n}") for n in range(12)])
    return name


async def in_thread(work: Run, *arguments: str) -> Result:
    """The command has an event loop of its own."""
    return await asyncio.to_thread(work, *arguments)


async def test_an_index_is_rebuilt_taken_back_and_dropped(run: Run, indexed: str) -> None:
    done = await in_thread(run, "rebuild", "wares", "--index-type", "IVF_FLAT", "--yes", "--json")
    assert done.exit_code == 0, done.output
    moved = json.loads(done.stdout)
    assert (moved["live"], moved["previous"]) == (f"{indexed}__1", indexed)
    assert (moved["comparison"]["overlap"], moved["comparison"]["old_recall"]) == (1, None)
    assert "recall@10 1.000" in done.stderr
    again = await in_thread(run, "rebuild", "wares", "--index-type", "IVF_FLAT", "--yes")
    assert again.stdout == f"wares stands on {indexed}__1 already\n"
    shown = await in_thread(run, "status")
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["wares", "previous", indexed, SPACE, "HNSW", "12"] in rows
    assert ["wares", "live", f"{indexed}__1", SPACE, "IVF_FLAT", "12"] in rows
    # Going back needs the space, and nobody answers for it.
    refused = await in_thread(run, "rollback", "wares")
    assert refused.exit_code == 1
    assert "TRITON_UNAVAILABLE" in refused.stderr
    kept = await in_thread(run, "retire", "wares")
    assert kept.exit_code == 1, "nobody said yes"
    dropped = await in_thread(run, "retire", "wares", "--yes")
    assert dropped.stdout == f"dropped {indexed}\n"
    nothing = await in_thread(run, "abandon", "wares", "--json")
    assert json.loads(nothing.stdout) == {"alias": "wares", "dropped": []}


async def test_vectors_are_exported_as_validation_reads_them(run: Run, indexed: str, tmp_path: Path) -> None:
    file = tmp_path / "vectors.npz"
    done = await in_thread(run, "export", "wares", "--to", str(file), "--rows", "5", "--json")
    assert json.loads(done.stdout) == {"alias": "wares", "file": str(file), "vectors": 5}
    vectors = np.load(file)["vectors"]
    assert (vectors.shape, vectors.dtype) == ((5, SIZE), np.float32)


async def test_an_index_without_rows_exports_nothing(run: Run, milvus_index: MilvusIndex, tmp_path: Path) -> None:
    await milvus_index.create("bare", SPACE, SIZE)
    refused = await in_thread(run, "export", "bare", "--to", str(tmp_path / "vectors.npz"))
    assert refused.exit_code == 1
    assert "has no rows to export" in refused.stderr


def test_help_names_every_command_and_each_has_its_own() -> None:
    overview = CliRunner().invoke(framelens_index, ["--help"]).stdout
    for command in ("abandon", "export", "migrate", "rebuild", "retire", "rollback", "status"):
        assert f"\n  {command} " in overview
        assert CliRunner().invoke(framelens_index, [command, "--help"]).exit_code == 0
    assert CliRunner().invoke(framelens_index, ["unknown"]).exit_code == 2


def test_help_and_wrong_usage_do_not_load_the_client_of_milvus() -> None:
    code = "import sys; from framelens_gateway.index_admin.command import framelens_index as command"
    told = f"{code}; command(sys.argv[1:], standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", told, "status", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: ")
    assert {"pymilvus", "pandas", "tritonclient", "pydantic"} & set(done.stderr.split()) == set()


async def test_a_wrong_setting_is_wrong_usage(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMELENS_MILVUS_TIMEOUT_S", "soon")
    refused = await in_thread(run, "status")
    assert refused.exit_code == 2
    assert "milvus_timeout_s" in refused.stderr


async def test_nobody_to_ask_is_said_before_anything_is_done(run: Run, indexed: str) -> None:
    refused = await in_thread(run, "rebuild", "wares", "--index-type", "FLAT")
    assert refused.exit_code == 2
    assert "pass --yes" in refused.stderr


async def test_failures_are_one_line(run: Run, tmp_path: Path) -> None:
    refused = await in_thread(run, "migrate", "nothing", "--to", "x", "--yes")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: there is no alias nothing; there is ")
    away = await in_thread(
        lambda: CliRunner().invoke(framelens_index, [f"--milvus=http://127.0.0.1:{free_port()}", "status"])
    )
    assert away.exit_code == 1
    assert "Error: MILVUS_UNAVAILABLE: " in away.stderr
    no_folder = await in_thread(run, "rollback", "a/b")
    assert (no_folder.exit_code, no_folder.stderr.count("\n")) == (1, 1)
    serve_file(tmp_path, "{")
    broken = await in_thread(lambda: CliRunner().invoke(framelens_index, ["status"]))
    assert broken.exit_code == 1
    assert "does not say where Milvus and Triton are" in broken.stderr


async def test_status_warns_of_what_is_too_large_left_over_or_interrupted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = world.index
    assert (await read_state(index)).warnings == []
    monkeypatch.setattr(state_module, "_LITE_ROWS", 5)
    (warning,) = (await read_state(index)).warnings
    assert "has 12 rows; Milvus Lite serves up to about 5 well" in warning
    index.lite = False
    index._know("products__left", SPACE, SIZE, "products", "")
    await index.point("products__previous", f"products__{SPACE}")
    state = await read_state(index)
    assert [each.state for each in state.collections] == ["live, previous", "orphan"]
    assert [warning.split(" is ")[0] for warning in state.warnings] == [f"products__{SPACE}", "products__left"]


def test_altered_crops_are_pictures_and_differ() -> None:
    pictures = altered(probe_picture())
    assert len({*pictures, probe_picture()}) == len(ALTERATIONS) + 1
    assert altered(probe_picture()) == pictures
