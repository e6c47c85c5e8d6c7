import importlib.util
import sys

import onnx
import pytest

from framelens_engines.engine import BatchProfile
from framelens_engines.errors import ConversionError
from framelens_engines.repository import EngineVersion
from framelens_engines.tensorrt_plan import built_plan

PROFILE = BatchProfile(minimum=1, optimum=8, maximum=32)


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx is not installed")
def test_both_default_engines_become_plans(default_engines: dict[str, EngineVersion]) -> None:
    for version in default_engines.values():
        assert len(built_plan(onnx.load(version.engine), PROFILE)) > 1_000_000


def test_where_no_builder_is_installed_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConversionError, match="no TensorRT is installed here; `pip install tensorrt-rtx`"):
        built_plan(onnx.ModelProto(), PROFILE)
