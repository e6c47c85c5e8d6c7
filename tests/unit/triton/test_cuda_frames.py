"""Pictures that Triton reads from the GPU's memory, with a stand-in for Triton that reads them there."""

import base64
from typing import Any

import numpy as np
import pytest
from host_driver import HostDriver

from framelens_triton.cuda.arrays import DeviceArray
from framelens_triton.cuda.device import Device
from framelens_triton.cuda.memory import DeviceMemory, host_view
from framelens_triton.cuda_frames import CudaFrames

SHAPE = (2, 4, 5, 3)
PICTURES = np.random.default_rng(3).integers(0, 256, SHAPE, np.uint8)


class Triton:
    def __init__(self) -> None:
        self.regions: dict[str, tuple[int, int]] = {}

    def register_cuda_shared_memory(self, name: str, raw_handle: bytes, device_id: int, byte_size: int) -> None:
        handle = base64.b64decode(raw_handle)
        assert len(handle) == 64
        assert device_id == 0
        self.regions[name] = int.from_bytes(handle[:8], "little"), byte_size

    def unregister_cuda_shared_memory(self, name: str) -> None:
        del self.regions[name]

    def read(self, request: Any) -> np.ndarray:
        tensor = request._get_tensor()
        address, size = self.regions[tensor.parameters["shared_memory_region"].string_param]
        assert request._get_content() is None
        assert int(np.prod(request.shape())) == tensor.parameters["shared_memory_byte_size"].int64_param <= size
        return np.array(host_view(address, tuple(request.shape()), np.uint8))


@pytest.fixture
def frames(driver: HostDriver) -> CudaFrames:
    return CudaFrames(Device.open(), PICTURES.nbytes * 2)


class Foreign:
    """As cupy or torch show theirs."""

    def __init__(self, strides: tuple[int, ...] | None = None) -> None:
        self.memory = DeviceMemory(PICTURES.nbytes)
        host_view(self.memory.address, SHAPE, np.uint8)[...] = PICTURES
        self.__cuda_array_interface__ = {
            "data": (self.memory.address, False),
            "shape": SHAPE,
            "typestr": "|u1",
            "strides": strides,
            "version": 3,
        }


def test_triton_finds_pictures_where_they_were_put_and_nothing_is_sent(frames: CudaFrames, driver: HostDriver) -> None:
    triton = Triton()
    with frames.registered(triton):
        assert (triton.read(frames.input("images", PICTURES)) == PICTURES).all()
        driver.calls.clear()
        foreign = Foreign()
        ours = DeviceArray(foreign.memory.address, SHAPE, np.dtype(np.uint8), foreign)
        for pictures in (foreign, ours, Foreign(strides=(60, 15, 3, 1))):
            request = frames.input("images", pictures)
            assert (request.name(), request.datatype(), list(request.shape())) == ("images", "UINT8", list(SHAPE))
            assert (triton.read(request) == PICTURES).all()
        assert set(driver.calls) == {"on device", "synchronize"}
    assert triton.regions == {}


def test_a_region_is_given_back_whatever_happens(frames: CudaFrames) -> None:
    triton = Triton()
    with pytest.raises(RuntimeError), frames.registered(triton):
        raise RuntimeError
    assert triton.regions == {}


@pytest.mark.parametrize(
    ("pictures", "complaint"),
    [
        (PICTURES.astype(np.float32), r"pictures are float32 \[2, 4, 5, 3\]; uint8"),
        (PICTURES[0], r"pictures are uint8 \[4, 5, 3\]; uint8"),
        (np.zeros((5, 4, 5, 3), np.uint8), "of at most 240 bytes are needed"),
    ],
)
def test_what_does_not_fit_is_refused(frames: CudaFrames, pictures: np.ndarray, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        frames.input("images", pictures)


def test_pictures_with_gaps_are_refused(frames: CudaFrames) -> None:
    with pytest.raises(ValueError, match=r"strides \(512, 15, 3, 1\) are not contiguous"):
        frames.input("images", Foreign(strides=(512, 15, 3, 1)))
