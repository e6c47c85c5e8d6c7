"""Memory, streams, graphs and kernels over a driver that works when it is waited for."""

import gc
from itertools import pairwise

import numpy as np
import pytest
from host_driver import HostDriver
from PIL import Image

from framelens_triton.cuda.bindings import driver as bound
from framelens_triton.cuda.device import Device
from framelens_triton.cuda.errors import CudaError, CudaUnavailable
from framelens_triton.cuda.gpu import CudaGpu
from framelens_triton.cuda.graph import Graph
from framelens_triton.cuda.memory import (
    ALIGNMENT,
    Arena,
    DeviceMemory,
    PinnedMemory,
    copy_to_device,
    copy_to_host,
    host_view,
)
from framelens_triton.cuda.stream import Stream
from framelens_triton.images.gpu_resize import SOURCE, GpuResizer, source
from framelens_triton.images.resize import Fit, frame_to_input

pytestmark = pytest.mark.usefixtures("driver")


def test_a_device_says_what_it_is() -> None:
    device = Device.open()
    assert device.compute_capability == (9, 0)
    assert str(device) == "GPU 0 (Host, compute capability 9.0)"
    with pytest.raises(CudaUnavailable, match="GPU 3 is not there; this machine shows 1"):
        Device.open(3)


def test_memory_goes_there_and_back_in_the_streams_turn() -> None:
    stream, pinned, device = Stream(), PinnedMemory(64), DeviceMemory(64)
    view = host_view(pinned.address, (4, 4), np.float32)
    view[...] = 7
    copy_to_device(device.address, pinned.address, 64, stream)
    stream.synchronize()
    view[...] = 0
    copy_to_host(pinned.address, device.address, 64, stream)
    assert (view == 0).all()
    stream.synchronize()
    assert (view == 7).all()


def test_memory_is_freed_with_its_owner(driver: HostDriver) -> None:
    piece = DeviceMemory(1000)
    assert driver.taken >= 1000
    del piece
    gc.collect()
    assert driver.taken == 0


def test_memory_that_is_not_there_is_told(driver: HostDriver) -> None:
    driver.limit = 100
    with pytest.raises(CudaError, match=r"taking 1000 bytes of the GPU's memory: CUDA_ERROR_OUT_OF_MEMORY \(2\)"):
        DeviceMemory(1000)


def test_an_arena_gives_aligned_parts_that_do_not_overlap() -> None:
    arena = Arena(DeviceMemory)
    sizes = (1, 300, 256, 20 * 2**20, 5)
    parts = [(arena.part(size), size) for size in sizes]
    assert all(address % ALIGNMENT == 0 for address, _ in parts)
    ordered = sorted(parts)
    assert all(a + size <= b for (a, size), (b, _) in pairwise(ordered))


def test_an_arena_settles_on_one_piece() -> None:
    taken: list[int] = []

    def take(size: int) -> DeviceMemory:
        taken.append(size)
        return DeviceMemory(size)

    arena = Arena(take)
    for _ in range(3):
        for _ in range(5):
            arena.part(8 * 2**20)
        arena.reset()
    assert len(taken) == 4
    assert taken[-1] == 40 * 2**20


def test_a_graph_is_recorded_once_and_works_anew_every_time(driver: HostDriver) -> None:
    stream, pinned, device = Stream(), PinnedMemory(4), DeviceMemory(4)
    view = host_view(pinned.address, (4,), np.uint8)
    graph = Graph(stream, lambda: copy_to_device(device.address, pinned.address, 4, stream))
    for value in (3, 9):
        view[...] = value
        graph.launch(stream)
        stream.synchronize()
        view[...] = 0
        copy_to_host(pinned.address, device.address, 4, stream)
        stream.synchronize()
        assert view.tolist() == [value] * 4
    assert driver.calls.count("to device") == 1


def test_a_stream_is_usable_after_a_recording_that_failed(driver: HostDriver) -> None:
    stream = Stream()

    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Graph(stream, broken)
    assert driver.recording == {}
    driver.captures = False
    with pytest.raises(CudaError, match="recording a CUDA graph: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"):
        Graph(stream, lambda: None)


def test_a_gpu_resizes_through_all_of_it(small: Image.Image) -> None:
    """Compiled, loaded, staged, launched and brought back, only the cores are this machine's."""
    gpu = CudaGpu(Device.open(), source(), SOURCE.name)
    resizer = GpuResizer(gpu)
    for _ in range(2):
        batch, _ = resizer.frames_to_input([resizer.image(np.asarray(small))] * 3, 64, 48, Fit.LETTERBOX)
        gpu.synchronize()
        expected = frame_to_input(small, 64, 48, Fit.LETTERBOX)[0]
        found = gpu.download(batch.address, batch.shape)
        assert (found == expected).all()
        gpu.forget()


def test_a_driver_that_cannot_be_used_is_no_driver(driver: HostDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoDevice(int):
        name = "CUDA_ERROR_NO_DEVICE"

    monkeypatch.setattr(driver, "cuInit", lambda _: (NoDevice(100),))
    bound.cache_clear()
    with pytest.raises(CudaUnavailable, match=r"the NVIDIA driver cannot be used: CUDA_ERROR_NO_DEVICE \(100\)"):
        Device.open()
