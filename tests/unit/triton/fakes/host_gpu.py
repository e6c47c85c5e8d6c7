"""A GPU that is this machine's own memory and cores: the kernels' source as C++, a thread after the other.

The compiler comes from PyPI (ziglang), so that a bare machine has it too.
"""

import ctypes
import io
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from framelens_triton.cuda.arrays import DeviceImage
from framelens_triton.images import gpu_resize

# What CUDA C++ has and C++ has not.
SHIM = """
struct Index { int x, y, z; };
static Index blockIdx, blockDim, threadIdx;
#define __global__ static
#define __device__
#define EXPORTED extern "C" __attribute__((visibility("default")))
"""
# Every thread of every block of a kernel with one argument.
RUNNER = """
EXPORTED void run_{kernel}(int gx, int gy, int gz, int bx, int by, int bz, const {argument} *{name}) {{
    blockDim = Index{{bx, by, bz}};
    for (int z = 0; z < gz; z++) for (int y = 0; y < gy; y++) for (int x = 0; x < gx; x++) {{
        blockIdx = Index{{x, y, z}};
        for (int w = 0; w < bz; w++) for (int v = 0; v < by; v++) for (int u = 0; u < bx; u++) {{
            threadIdx = Index{{u, v, w}};
            {kernel}({name});
        }}
    }}
}}
"""
KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(const (\w+) \*(\w+)\)')
# One rounding for each operation, as the options of `cuda/kernels.py` ask of a GPU. Nothing of a C library is needed.
FLAGS = "-shared -fPIC -O2 -std=c++17 -nostdlib -fno-exceptions -fno-rtti -ffp-contract=off -target x86_64-linux-musl"


def compiled_for_host(folder: Path) -> ctypes.CDLL:
    text = gpu_resize.source()
    runners = [RUNNER.format(kernel=k, argument=a, name=n) for k, a, n in KERNEL.findall(text)]
    source, library = folder / "kernels.cpp", folder / "kernels.so"
    source.write_text(SHIM + text.replace('extern "C" __global__', "__global__") + "".join(runners))
    command = [sys.executable, "-m", "ziglang", "c++", *FLAGS.split(), str(source), "-o", str(library)]
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(folder), "ZIG_LOCAL_CACHE_DIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


class HostGpu:
    """`cuda.gpu.Gpu` without one. What is forgotten is overwritten, so that nobody can go on using it unseen."""

    ordinal = 0
    stream = 0

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._rooms: list[np.ndarray] = []
        self.launches: list[str] = []

    def room(self, size: int) -> int:
        self._rooms.append(np.full(size, 0xA5, np.uint8))
        return self._rooms[-1].ctypes.data

    def upload(self, array: np.ndarray) -> int:
        address = self.room(array.nbytes)
        self._rooms[-1][:] = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        return address

    def download(self, address: int, shape: tuple[int, ...]) -> np.ndarray:
        size = int(np.prod(shape))
        return np.frombuffer(ctypes.string_at(address, size), np.uint8).reshape(shape)

    def launch(self, kernel: str, grid: Sequence[int], block: Sequence[int], arguments: Sequence[int]) -> None:
        self.launches.append(kernel)
        getattr(self._library, f"run_{kernel}")(*grid, *block, *map(ctypes.c_void_p, arguments))

    def follow(self, stream: int) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def forget(self) -> None:
        for room in self._rooms:
            room[:] = 0x5A
        self._rooms = []


class PillowJpegs:
    """Stands for nvImageCodec: JPEGs at their full size as they are stored; None for what it cannot decode."""

    def __init__(self) -> None:
        self.decoded = 0
        self.refuses = False

    def decode(self, pictures: Sequence[bytes]) -> list[DeviceImage | None]:
        return [None if self.refuses else self._decoded(data) for data in pictures]

    def _decoded(self, data: bytes) -> DeviceImage:
        with Image.open(io.BytesIO(data)) as file:
            pixels = np.asarray(file.convert("RGB"))
        self.decoded += 1
        height, width, _ = pixels.shape
        return DeviceImage(pixels.ctypes.data, width, height, width * 3, pixels)
