"""The two builders of plans: TensorRT, and TensorRT-RTX, which needs no GPU. Each refuses what only the other has."""

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import JsonValue

from framelens_engines.errors import ConversionError
from framelens_engines.tensorrt.gpu import compute_capability
from framelens_engines.tensorrt.options import PlanOptions

# docs.nvidia.com, TensorRT-RTX, "CPU-Only AOT": 8.6, 8.9, 12.0, 12.1 and later unless others are named.
_RTX_GPUS = "8.6+"
# kAMPERE_PLUS.
_AMPERE_PLUS = "8.0+"


class Flavour(ABC):
    """An installed builder; as text its name and version, such as `tensorrt_rtx 1.7.1.116`."""

    def __init__(self, trt: ModuleType) -> None:
        self.trt = trt

    def __str__(self) -> str:
        return f"{self.trt.__name__} {self.trt.__version__}"

    @abstractmethod
    def gpus(self, options: PlanOptions) -> tuple[str, ...]:
        """The compute capabilities that a plan is for; `8.6+` is that one and all later.

        Raises ConversionError for options that this flavour has not.
        """

    @abstractmethod
    def configure(self, config: Any, options: PlanOptions) -> None:  # noqa: ANN401
        """Tells an IBuilderConfig what the plan is for. Raises ConversionError where this version cannot do it."""

    @abstractmethod
    def timings(self, config: Any, folder: Path) -> AbstractContextManager[None]:  # noqa: ANN401
        """While a plan is built: what earlier builds measured of kernels, kept in `folder` by builder and GPU."""

    @abstractmethod
    def inspected(self, logger: Any, plan: bytes) -> JsonValue:  # noqa: ANN401
        """The layers of a plan as they were fused and which kernels they got; null where only the GPU decides that."""

    def _member(self, enumeration: str, name: str) -> Any:  # noqa: ANN401
        members = getattr(self.trt, enumeration)
        if not hasattr(members, name):
            there = ", ".join(sorted(members.__members__))
            raise ConversionError(f"{self} knows no {enumeration} {name}; it has {there}")
        return getattr(members, name)


class TensorRt(Flavour):
    """Builds on the GPU that the plan is for."""

    def gpus(self, options: PlanOptions) -> tuple[str, ...]:
        if options.compute_capabilities:
            raise ConversionError(
                f"{self} builds for the GPU that it runs on and not for compute capability"
                f" {', '.join(options.compute_capabilities)}; leave --compute-capability out, or use tensorrt-rtx"
            )
        return (_AMPERE_PLUS if options.hardware_compatibility == "ampere_plus" else compute_capability(),)

    def configure(self, config: Any, options: PlanOptions) -> None:  # noqa: ANN401
        config.profiling_verbosity = self.trt.ProfilingVerbosity.DETAILED
        config.hardware_compatibility_level = self._member(
            "HardwareCompatibilityLevel", options.hardware_compatibility.upper()
        )
        if options.version_compatible:
            config.set_flag(self.trt.BuilderFlag.VERSION_COMPATIBLE)

    @contextmanager
    def timings(self, config: Any, folder: Path) -> Iterator[None]:  # noqa: ANN401
        kept = folder / f"{self.trt.__name__}-{self.trt.__version__}-{compute_capability()}"
        config.set_timing_cache(
            config.create_timing_cache(kept.read_bytes() if kept.is_file() else b""), ignore_mismatch=False
        )
        yield
        folder.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(f"{kept.name}.partial")
        partial.write_bytes(config.get_timing_cache().serialize())
        partial.replace(kept)

    def inspected(self, logger: Any, plan: bytes) -> JsonValue:  # noqa: ANN401
        runtime = self.trt.Runtime(logger)
        runtime.engine_host_code_allowed = True  # A version-compatible plan carries its runtime; this one is our own.
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise ConversionError(f"{self} cannot load the plan that it has built; its log says why")
        inspector = engine.create_engine_inspector()
        layers: JsonValue = json.loads(inspector.get_engine_information(self.trt.LayerInformationFormat.JSON))
        return layers


class TensorRtRtx(Flavour):
    """Builds anywhere, for one GPU or many, which choose their kernels when they load the plan.

    Levels of hardware compatibility it ignores with a warning, and its wheels lack the runtime (`libnvinfer_lean`) that
    a version-compatible plan carries: seen with 1.7.1.116.
    """

    def gpus(self, options: PlanOptions) -> tuple[str, ...]:
        for option, asked in (
            ("--hardware-compatibility", options.hardware_compatibility != "none"),
            ("--version-compatible", options.version_compatible),
        ):
            if asked:
                raise ConversionError(
                    f"{self} has no {option}: its plans fit many GPUs (--compute-capability) and one version; leave it"
                    " out, or use tensorrt"
                )
        self._targets(options)
        return options.compute_capabilities or (_RTX_GPUS,)

    def configure(self, config: Any, options: PlanOptions) -> None:  # noqa: ANN401
        targets = self._targets(options)
        if targets:
            config.num_compute_capabilities = len(targets)
        for index, target in enumerate(targets):
            config.set_compute_capability(target, index)

    def _targets(self, options: PlanOptions) -> list[Any]:
        names = [f"SM{capability.replace('.', '')}" for capability in options.compute_capabilities]
        return [self._member("ComputeCapability", name) for name in names]

    def timings(self, config: Any, folder: Path) -> AbstractContextManager[None]:  # noqa: ANN401, ARG002
        # It measures nothing: timing caches are deprecated there and do nothing (docs.nvidia.com, TensorRT-RTX, "Timing
        # Cache Migration").
        return nullcontext()

    def inspected(self, logger: Any, plan: bytes) -> JsonValue:  # noqa: ANN401, ARG002
        return None


_FLAVOURS: tuple[tuple[str, type[Flavour]], ...] = (("tensorrt", TensorRt), ("tensorrt_rtx", TensorRtRtx))


def installed_flavour() -> Flavour:
    """TensorRT where it is installed, else TensorRT-RTX. Raises ConversionError where neither is."""
    for name, flavour in _FLAVOURS:
        try:
            return flavour(importlib.import_module(name))
        except ImportError:
            continue
    raise ConversionError(
        "no TensorRT is installed here; `make engines-tensorrt` makes an environment with TensorRT-RTX, which builds"
        " plans without a GPU, in .venv/tensorrt; on the GPU itself, `pip install tensorrt`"
    )
