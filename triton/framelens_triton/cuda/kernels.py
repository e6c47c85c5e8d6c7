"""Kernels: compiled by NVRTC for the GPU that is there, loaded and launched."""

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any

from framelens_triton.cuda.bindings import driver, nvrtc
from framelens_triton.cuda.errors import CudaError, CudaUnavailable, checked
from framelens_triton.cuda.stream import Stream

Size = tuple[int, int, int]
# Without it the compiler would merge a product and a sum into one rounding, and weights would differ from the CPU's.
_OPTIONS = ("--std=c++17", "--fmad=false")


def compiled(source: str, name: str, architecture: str) -> bytes:
    """Machine code for an architecture such as `sm_90`, or PTX for one such as `compute_90`; needs no GPU.

    Raises CudaError with what the compiler said, CudaUnavailable.
    """
    compiler = nvrtc()
    doing = f"compiling {name} for {architecture}"
    program = checked(compiler.nvrtcCreateProgram(source.encode(), name.encode(), 0, [], []), doing)
    try:
        options = [option.encode() for option in (f"--gpu-architecture={architecture}", *_OPTIONS)]
        (status,) = compiler.nvrtcCompileProgram(program, len(options), options)
        if int(status):
            raise CudaError(f"{doing}: {status.name}\n{_log(compiler, program)}")
        size, text = (
            (compiler.nvrtcGetCUBINSize, compiler.nvrtcGetCUBIN)
            if architecture.startswith("sm_")
            else (compiler.nvrtcGetPTXSize, compiler.nvrtcGetPTX)
        )
        code = bytes(checked(size(program), doing))
        checked(text(program, code), doing)
    finally:
        checked(compiler.nvrtcDestroyProgram(program), doing)
    return code


def _supported(compute_capability: tuple[int, int]) -> int:
    """Such as 90. Raises CudaUnavailable for a GPU that is too old, or too new, for this NVRTC."""
    major, minor = compute_capability
    known = checked(nvrtc().nvrtcGetSupportedArchs(), "asking NVRTC for its architectures")
    if 10 * major + minor not in known:
        shown = ", ".join(f"{each // 10}.{each % 10}" for each in known)
        raise CudaUnavailable(f"the GPU has compute capability {major}.{minor}, and NVRTC here compiles for {shown}")
    return 10 * major + minor


def _log(compiler: Any, program: Any) -> str:  # noqa: ANN401
    text = bytes(checked(compiler.nvrtcGetProgramLogSize(program), "reading the compiler's log"))
    checked(compiler.nvrtcGetProgramLog(program, text), "reading the compiler's log")
    return text.rstrip(b"\0\n").decode(errors="replace")


class Kernels:
    """The kernels of one source, by name. Raises CudaError, CudaUnavailable."""

    def __init__(self, source: str, name: str, compute_capability: tuple[int, int]) -> None:
        cuda = driver()
        code = compiled(source, name, f"sm_{_supported(compute_capability)}")
        self._module: Any = checked(cuda.cuModuleLoadData(code), f"loading {name}")
        self._functions: dict[str, Any] = {}
        weakref.finalize(self, cuda.cuModuleUnload, self._module).atexit = False

    def launch(self, kernel: str, grid: Size, block: Size, arguments: Sequence[int], stream: Stream) -> None:
        """`arguments` are addresses, of which kernels here take nothing else."""
        cuda = driver()
        function = self._functions.get(kernel)
        if function is None:
            function = checked(cuda.cuModuleGetFunction(self._module, kernel.encode()), f"finding kernel {kernel}")
            self._functions[kernel] = function
        parameters = tuple(arguments), (ctypes.c_void_p,) * len(arguments)
        launched = cuda.cuLaunchKernel(function, *grid, *block, 0, stream.native, parameters, 0)
        checked(launched, f"launching kernel {kernel} over {grid} blocks")
