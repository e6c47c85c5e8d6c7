"""Arrays handed over by DLPack, with numpy as the other side: the structures are the same on a CPU and a GPU."""

import gc
import weakref

import numpy as np
import pytest

from framelens_triton.cuda import dlpack
from framelens_triton.cuda.arrays import DeviceArray, taken, taken_image


class Owner:
    pass


def lent(values: np.ndarray, owner: object = None) -> DeviceArray:
    """Over the host's memory, so that numpy takes it."""
    return DeviceArray(values.ctypes.data, values.shape, values.dtype, (values, owner), (dlpack.CPU, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.float16, np.float32, np.bool_])
def test_another_library_sees_the_same_memory(dtype: type) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    found = np.from_dlpack(lent(values))
    assert (found.dtype, found.shape) == (values.dtype, values.shape)
    assert found.ctypes.data == values.ctypes.data
    assert (found == values).all()


def test_memory_is_kept_as_long_as_its_taker_and_no_longer() -> None:
    owner = Owner()
    gone = weakref.ref(owner)
    found = np.from_dlpack(lent(np.ones(3, np.float32), owner))
    del owner
    gc.collect()
    assert gone() is not None
    assert found.tolist() == [1, 1, 1]
    del found
    gc.collect()
    assert gone() is None


def test_a_capsule_that_nobody_took_frees_its_memory() -> None:
    owner = Owner()
    gone = weakref.ref(owner)
    capsule = lent(np.ones(3, np.float32), owner).__dlpack__(stream=1)
    del owner, capsule
    gc.collect()
    assert gone() is None
    assert dlpack._lent == {}


def test_what_a_capsule_shows_is_read_without_taking_it() -> None:
    values = np.arange(12, dtype=np.int32).reshape(3, 4)
    capsule = values.T.__dlpack__()
    for _ in range(2):
        found = dlpack.layout(capsule)
        assert found == dlpack.Layout(values.ctypes.data, (4, 3), np.dtype(np.int32), (4, 16), (dlpack.CPU, 0))
    np.from_dlpack(Capsule(capsule))
    with pytest.raises(ValueError, match="no DLPack capsule, or it was consumed before"):
        dlpack.layout(capsule)


class Capsule:
    def __init__(self, capsule: object) -> None:
        self.capsule = capsule

    def __dlpack__(self, **_: object) -> object:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CPU, 0


def test_parts_are_rows_of_the_same_memory() -> None:
    values = np.arange(40, dtype=np.uint8).reshape(5, 2, 4)
    array = lent(values)
    assert len(array) == 5
    assert np.from_dlpack(array.part(1, 3)).tolist() == values[1:3].tolist()
    assert np.from_dlpack(array.part(4, 8)).tolist() == values[4:].tolist()


class CudaArray:
    """As pycuda, cupy and torch show theirs."""

    def __init__(self, values: np.ndarray, stream: int | None = None, strides: tuple[int, ...] | None = None) -> None:
        self.values = values
        self.__cuda_array_interface__ = {
            "data": (values.ctypes.data, False),
            "shape": values.shape,
            "typestr": values.dtype.str,
            "strides": strides,
            "version": 3,
            "stream": stream,
        }


def never(stream: int) -> None:
    raise AssertionError(f"nobody asked for stream {stream}")


def test_an_array_of_another_library_is_taken_where_it_is_after_its_stream() -> None:
    followed: list[int] = []
    values = np.zeros((4, 5, 3), np.uint8)
    image = taken_image(CudaArray(values, stream=7), followed.append, 1)
    assert (image.address, image.width, image.height, image.stride) == (values.ctypes.data, 5, 4, 15)
    assert followed == [7]
    padded = taken_image(CudaArray(values, strides=(512, 3, 1)), never, 1)
    assert padded.stride == 512


def test_our_own_arrays_come_back() -> None:
    array = DeviceArray(4096, (2, 3), np.dtype(np.float32), None)
    assert taken(array, never, 1) == dlpack.Layout(4096, (2, 3), np.dtype(np.float32), None, (dlpack.CUDA, 0))


class Elsewhere(CudaArray):
    __cuda_array_interface__ = None

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.values = np.zeros(3, np.float32)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, 0

    def __dlpack__(self, *, stream: int) -> object:
        assert stream == 5
        return self.values.__dlpack__()


def test_dlpack_is_asked_where_there_is_no_interface() -> None:
    array = Elsewhere(dlpack.CUDA)
    assert taken(array, never, 5).address == array.values.ctypes.data
    with pytest.raises(ValueError, match="Elsewhere lies on DLPack device 1 and not in a GPU's memory"):
        taken(Elsewhere(dlpack.CPU), never, 5)
    with pytest.raises(ValueError, match="list has neither __cuda_array_interface__ nor __dlpack__"):
        taken([1, 2], never, 5)


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (CudaArray(np.zeros((4, 5), np.uint8)), r"uint8 \[4, 5\] is no picture"),
        (CudaArray(np.zeros((4, 5, 3), np.float32)), r"float32 \[4, 5, 3\] is no picture"),
        (CudaArray(np.zeros((4, 5, 3), np.uint8), strides=(1, 4, 20)), "pixels that are not packed"),
    ],
)
def test_what_is_no_picture_is_refused(array: CudaArray, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        taken_image(array, never, 1)
