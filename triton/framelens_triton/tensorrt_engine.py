"""Runs a TensorRT plan: one execution context and one CUDA graph for each batch bucket, over one set of buffers.

TensorRT and TensorRT-RTX have the API that is used here in common; the one that built a plan runs it.
"""

import importlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from framelens_triton.batch_buckets import Profile, bucket_for, buckets, profile_for
from framelens_triton.cuda import dlpack
from framelens_triton.cuda.arrays import DeviceArray
from framelens_triton.cuda.device import Device
from framelens_triton.cuda.errors import CudaError
from framelens_triton.cuda.graph import Graph
from framelens_triton.cuda.memory import (
    DeviceMemory,
    PinnedMemory,
    copy_on_device,
    copy_to_device,
    copy_to_host,
    host_view,
)
from framelens_triton.cuda.stream import Stream
from framelens_triton.plan_record import check_plan

log = logging.getLogger(__name__)

_RUNTIMES = ("tensorrt", "tensorrt_rtx")
HostArray = npt.NDArray[Any]


class PlanError(Exception):
    """A plan cannot be loaded, or does not do what its model's configuration says."""


@dataclass(frozen=True)
class Buffer:
    """Room for the largest batch of one input or output, in the GPU's memory and pinned beside it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    device: DeviceMemory
    pinned: PinnedMemory

    @classmethod
    def of(cls, shape: tuple[int, ...], dtype: npt.DTypeLike, rows: int) -> "Buffer":
        kind = np.dtype(dtype)
        size = rows * int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        return cls(shape, kind, DeviceMemory(size), PinnedMemory(size))

    @property
    def row(self) -> int:
        """In bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def host_rows(self, start: int, end: int) -> HostArray:
        return host_view(self.pinned.address + start * self.row, (end - start, *self.shape), self.dtype)


@dataclass(frozen=True)
class _Bucket:
    """A batch size: its context, and the graph of its work where that could be recorded."""

    context: Any
    graph: Graph | None


class TensorrtEngine:
    """One plan on one GPU; used by the thread that made it. Raises PlanError, PlanMismatch, CudaError.

    A batch is put into the engine request by request, run, and taken out request by request; then comes the next.
    """

    def __init__(self, plan: Path, device: Device, max_batch_size: int) -> None:
        record = _record(plan)
        trt = _runtime(record)
        check_plan(
            record,
            builder=trt.__name__,
            builder_version=trt.__version__,
            compute_capability=device.compute_capability,
        )
        self.name = f"{trt.__name__} {trt.__version__} on {device}"
        self._device = device
        self._engine, self._kept = _deserialised(trt, plan, record)
        self._stream = Stream()
        inputs, outputs = _names(trt, self._engine)
        profiles = _profiles(self._engine, inputs[0])
        self._sizes = buckets(profiles, max_batch_size)
        self._buffers = {name: self._buffer(trt, name) for name in (*inputs, *outputs)}
        self._scratch = DeviceMemory(int(self._engine.device_memory_size_v2))
        self._buckets = {size: self._bucket(trt, size, inputs, profiles) for size in self._sizes}

    @property
    def tensors(self) -> set[str]:
        """The names of its inputs and outputs."""
        return set(self._buffers)

    @property
    def stream(self) -> Stream:
        """In which all its work is done."""
        return self._stream

    def graphs(self) -> str:
        """What is kept ready, for the log."""
        recorded = [str(size) for size, bucket in self._buckets.items() if bucket.graph]
        return f"batches of {', '.join(map(str, self._sizes))}; CUDA graphs of {', '.join(recorded) or 'none'}"

    def put(self, name: str, start: int, rows: HostArray | dlpack.Layout) -> None:
        """Rows of an input, from this machine's memory or the GPU's. Raises ValueError where they do not fit it."""
        buffer = self._buffers[name]
        if (rows.shape[1:], rows.dtype) != (buffer.shape, buffer.dtype):
            raise ValueError(
                f"input {name} is {rows.dtype} {list(rows.shape[1:])} a row, and the plan takes {buffer.dtype}"
                f" {list(buffer.shape)}"
            )
        count = rows.shape[0]
        target, size = buffer.device.address + start * buffer.row, count * buffer.row
        if isinstance(rows, dlpack.Layout):
            copy_on_device(target, rows.address, size, self._stream)
            return
        staged = buffer.host_rows(start, start + count)
        staged[...] = rows
        copy_to_device(target, buffer.pinned.address + start * buffer.row, size, self._stream)

    def run(self, rows: int) -> None:
        """Computes the outputs of so many rows, and does not wait for them."""
        bucket = self._buckets[bucket_for(rows, self._sizes)]
        if bucket.graph is not None:
            bucket.graph.launch(self._stream)
        else:
            _enqueue(bucket.context, self._stream)

    def fetch(self, names: Sequence[str], rows: int) -> dict[str, HostArray]:
        """The first rows of outputs in this machine's memory, once they are computed; a copy."""
        for name in names:
            buffer = self._buffers[name]
            copy_to_host(buffer.pinned.address, buffer.device.address, rows * buffer.row, self._stream)
        self._stream.synchronize()
        return {name: np.array(self._buffers[name].host_rows(0, rows)) for name in names}

    def on_device(self, name: str, start: int, end: int) -> DeviceArray:
        """Rows of an output where they are, once they are computed, until the next batch."""
        self._stream.synchronize()
        buffer = self._buffers[name]
        shape = (end - start, *buffer.shape)
        address = buffer.device.address + start * buffer.row
        return DeviceArray(address, shape, buffer.dtype, self, (dlpack.CUDA, self._device.ordinal))

    def _buffer(self, trt: ModuleType, name: str) -> Buffer:
        batch, *shape = self._engine.get_tensor_shape(name)
        if batch != -1 or -1 in shape:
            raise PlanError(f"{name} of the plan is {[batch, *shape]}; only its first dimension, the batch, may vary")
        return Buffer.of(tuple(shape), trt.nptype(self._engine.get_tensor_dtype(name)), self._sizes[-1])

    def _bucket(self, trt: ModuleType, size: int, inputs: Sequence[str], profiles: Sequence[Profile]) -> _Bucket:
        # Buckets take turns, so they share the memory that a context works in.
        context = self._engine.create_execution_context(_context_options(trt, self._engine))
        if context is None:
            raise PlanError(f"TensorRT made no execution context for batches of {size}; its log says why")
        context.set_device_memory(self._scratch.address, self._scratch.size)
        profile = profile_for(size, profiles)
        taken = [context.set_optimization_profile_async(profile, self._stream.handle)]
        taken += [context.set_input_shape(name, (size, *self._buffers[name].shape)) for name in inputs]
        taken += [context.set_tensor_address(name, buffer.device.address) for name, buffer in self._buffers.items()]
        if not all(taken):
            raise PlanError(f"TensorRT refused a context for batches of {size} in profile {profile}; its log says why")
        # The first run does what a graph cannot hold, such as loading kernels.
        _enqueue(context, self._stream)
        self._stream.synchronize()
        return _Bucket(context, self._recorded(context, size))

    def _recorded(self, context: Any, size: int) -> Graph | None:  # noqa: ANN401
        try:
            return Graph(self._stream, lambda: _enqueue(context, self._stream))
        except (CudaError, PlanError) as error:
            log.warning("batches of %d run without a CUDA graph: %s", size, error)
            return None


def _record(plan: Path) -> dict[str, Any]:
    path = plan.with_name("engine.json")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{path} is missing, which says what {plan.name} is for; publish that version again") from None
    except ValueError as error:
        raise PlanError(f"{path} cannot be read: {error}; publish that version again") from error
    if not isinstance(record, dict):
        raise PlanError(f"{path} is no JSON object; publish that version again")
    return record


def _runtime(record: dict[str, Any]) -> ModuleType:
    """The library that built the plan, or the other one where only that is there: `check_plan` says what is wrong."""
    builder = str(record.get("builder")).partition(" ")[0]
    for name in sorted(_RUNTIMES, key=lambda name: name != builder):
        if find_spec(name) is not None:
            return importlib.import_module(name)
    raise PlanError(
        f"neither tensorrt nor tensorrt_rtx is installed, and the plan was built by {record.get('builder')}; install"
        " that version of it into this environment"
    )


def _deserialised(trt: ModuleType, plan: Path, record: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
    """The engine, and what must live as long as it does."""
    logger = trt.Logger(trt.Logger.WARNING)
    runtime = trt.Runtime(logger)
    if (record.get("optimisation") or {}).get("version_compatible") is True:
        runtime.engine_host_code_allowed = True  # Such a plan carries its runtime.
    engine = runtime.deserialize_cuda_engine(plan.read_bytes())
    if engine is None:
        raise PlanError(f"{plan} cannot be loaded by {trt.__name__} {trt.__version__}; its log says why")
    return engine, (logger, runtime)


def _names(trt: ModuleType, engine: Any) -> tuple[list[str], list[str]]:  # noqa: ANN401
    """Of inputs and of outputs."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    return inputs, [name for name in names if name not in inputs]


def _profiles(engine: Any, name: str) -> list[Profile]:  # noqa: ANN401
    """The batch sizes of each optimisation profile."""
    shapes = [engine.get_tensor_profile_shape(name, index) for index in range(engine.num_optimization_profiles)]
    return [(int(least[0]), int(usual[0]), int(most[0])) for least, usual, most in shapes]


def _context_options(trt: ModuleType, engine: Any) -> Any:  # noqa: ANN401
    """A context that works in memory that it is given.

    TensorRT-RTX would begin with kernels for any shape and make better ones in the background: too late for a graph.
    """
    given = trt.ExecutionContextAllocationStrategy.USER_MANAGED
    specialization = getattr(trt, "DynamicShapesKernelSpecializationStrategy", None)
    if specialization is None:
        return given
    options = engine.create_runtime_config()
    options.set_execution_context_allocation_strategy(given)
    options.dynamic_shapes_kernel_specialization_strategy = specialization.EAGER
    return options


def _enqueue(context: Any, stream: Stream) -> None:  # noqa: ANN401
    if not context.execute_async_v3(stream.handle):
        raise PlanError("TensorRT refused to run the plan; its log says why")
