"""The engines that run on this GPU: a TensorRT plan, else ONNX Runtime's CUDA provider, and why not the one before."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from framelens_perf.gpu_check.failures import EngineMissing
from framelens_perf.gpu_check.floors import Arithmetic
from framelens_perf.swap.changes import run
from framelens_triton.cuda import dlpack
from framelens_triton.cuda.arrays import DeviceArray
from framelens_triton.cuda.device import Device
from framelens_triton.cuda.stream import Stream
from framelens_triton.tensorrt_engine import TensorrtEngine

Outputs = dict[str, npt.NDArray[np.generic]]
MAX_BATCH = 32
_CUDA = "CUDAExecutionProvider"
_INPUT = "images"


class GpuEngine(Protocol):
    """One engine whose input is in the GPU's memory; batches come one after the other."""

    name: str

    @property
    def stream(self) -> Stream: ...

    def put(self, images: DeviceArray) -> None: ...

    def run(self, rows: int) -> None:
        """Of what was put; more than once if asked again."""

    def fetch(self, names: Sequence[str], rows: int) -> Outputs: ...


@dataclass(frozen=True)
class EngineFile:
    """A plan (`model.plan`) or an ONNX engine, beside its engine.json; another process can open it too."""

    path: Path

    @property
    def arithmetic(self) -> Arithmetic:
        return Arithmetic(_record(self.path)["precision"])

    def open(self, device: Device) -> GpuEngine:
        """Raises PlanError, PlanMismatch, CudaError, EngineMissing, ONNX Runtime's own exceptions."""
        if self.path.suffix == ".plan":
            return PlanEngine(self.path, device)
        return OnnxCudaEngine(self.path, device)


@dataclass
class Choice:
    """The engine that runs here, or none, and what became of those that were tried before it."""

    file: EngineFile | None = None
    engine: GpuEngine | None = None
    said: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        used = None if self.file is None or self.engine is None else str(self.file.path)
        name = None if self.engine is None else self.engine.name
        return {"used": name, "file": used, "said": self.said}


class PlanEngine:
    def __init__(self, path: Path, device: Device) -> None:
        self._engine = TensorrtEngine(path, device, MAX_BATCH)
        self.name = f"{self._engine.name}; {self._engine.graphs()}"

    @property
    def stream(self) -> Stream:
        return self._engine.stream

    def put(self, images: DeviceArray) -> None:
        layout = dlpack.Layout(images.address, images.shape, images.dtype, None, images.device)
        self._engine.put(_INPUT, 0, layout)

    def run(self, rows: int) -> None:
        self._engine.run(rows)

    def fetch(self, names: Sequence[str], rows: int) -> Outputs:
        return self._engine.fetch(names, rows)


class OnnxCudaEngine:
    def __init__(self, path: Path, device: Device) -> None:
        if _CUDA not in ort.get_available_providers():
            raise EngineMissing(f"onnxruntime {ort.__version__} has no {_CUDA}; install onnxruntime-gpu in its place")
        ort.preload_dlls()
        self.stream = Stream()
        self._ordinal = device.ordinal
        options = {"device_id": str(device.ordinal), "user_compute_stream": str(self.stream.handle)}
        # What it has no kernel for, it would compute on the CPU; without the provider itself it would all be there.
        self._session = ort.InferenceSession(path, providers=[(_CUDA, options), "CPUExecutionProvider"])
        if _CUDA not in self._session.get_providers():
            raise EngineMissing(f"onnxruntime {ort.__version__} could not start its {_CUDA}; its log says why")
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._binding: Any = None
        self.name = f"onnxruntime {ort.__version__} ({_CUDA}) on {device}"

    def put(self, images: DeviceArray) -> None:
        self._binding = self._session.io_binding()
        self._binding.bind_input(_INPUT, "cuda", self._ordinal, np.uint8, list(images.shape), images.address)
        for name in self._outputs:
            self._binding.bind_output(name, "cuda", self._ordinal)

    def run(self, rows: int) -> None:  # noqa: ARG002 - those that were put
        self._session.run_with_iobinding(self._binding)

    def fetch(self, names: Sequence[str], rows: int) -> Outputs:
        found = dict(zip(self._outputs, self._binding.copy_outputs_to_cpu(), strict=True))
        return {name: found[name][:rows] for name in names}


class GpuEngines:
    """`recognition.Engines` over those that were chosen."""

    def __init__(self, engines: dict[str, GpuEngine]) -> None:
        self._engines = engines

    def infer(self, model: str, images: DeviceArray, outputs: Sequence[str]) -> Outputs:
        engine = self._engines[model]
        engine.put(images)
        engine.run(len(images))
        return engine.fetch(outputs, len(images))


Candidate = tuple[str, Callable[[], EngineFile]]


def chosen(candidates: Iterable[Candidate], device: Device) -> Choice:
    """The first that is there and runs; what kept the others from it is said."""
    choice = Choice()
    for name, find in candidates:
        try:
            file = find()
            choice.engine = file.open(device)
        except Exception as error:  # Every library has exceptions of its own; each is said.
            choice.said.append(f"{name}: {type(error).__name__}: {error}")
            continue
        choice.file = file
        choice.said.append(f"{name}: runs")
        break
    return choice


def candidates(model: str, repository: Path, out: Path, precision: str) -> list[Candidate]:
    return [
        (f"TensorRT plan, {precision}", lambda: _built(model, repository, out, precision)),
        ("ONNX Runtime's CUDA provider, fp32", lambda: fp32_engine(repository / model)),
    ]


def fp32_engine(model: Path) -> EngineFile:
    """The newest of the repository. Raises EngineMissing."""
    versions = sorted((f for f in model.glob("*") if f.name.isdecimal()), key=lambda f: int(f.name), reverse=True)
    for engine in (version / "model.onnx" for version in versions):
        if engine.is_file() and _record(engine)["precision"] == "fp32":
            return EngineFile(engine)
    raise EngineMissing(f"{model} has no FP32 ONNX engine; run `make engines`")


def _built(model: str, repository: Path, out: Path, precision: str) -> EngineFile:
    """By the TensorRT of this environment, from the FP32 engine; kept for the next time. Raises CommandFailure."""
    command = str(Path(sys.executable).with_name("framelens-engines"))
    staging = out / "staging"
    where = ["--repository", str(repository), "--staging", str(staging)]
    built = run([command, "build", model, "--target", "tensorrt", "--precision", precision, *where, "--json"])
    return EngineFile(staging / model / str(built["version"]) / "model.plan")


def _record(engine: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(engine.with_name("engine.json").read_text(encoding="utf-8"))
    return record
