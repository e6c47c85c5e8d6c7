"""Whether a swap fits into a server's memory, and what it needs, said before it starts."""

from framelens_engines.errors import SwapError
from framelens_engines.repository import EngineVersion
from framelens_engines.server import TritonServer

_MIB = 2**20
# While Triton changes over, the old engine, the candidate and the new one may all be loaded: an unload returns before
# its memory is free.
_NEW_COPIES = 2
# For an engine that was never measured: weights are unpacked and packed again while it loads.
_MEMORY_OVER_FILE = 3


def engine_memory_mib(version: EngineVersion) -> float:
    """What one loaded copy takes: as validation measured it, or a multiple of the file."""
    measured = version.record.memory_mib
    return measured if measured is not None else version.engine.stat().st_size * _MEMORY_OVER_FILE / _MIB


def expect_memory(server: TritonServer, version: EngineVersion) -> str:
    """A sentence on what the swap takes. Raises SwapError where the server's machine has less, ServerError."""
    copy, free = engine_memory_mib(version), server.free_memory_bytes() / _MIB
    need = copy * _NEW_COPIES
    if need > free:
        raise SwapError(
            f"{server.name}: {version.name} takes {copy:.0f} MiB a copy and a swap {need:.0f} MiB beside what serves;"
            f" {free:.0f} MiB are free. Nothing was changed; free memory, or retire a candidate"
        )
    return f"{server.name}: swapping to {version.name} takes up to {need:.0f} MiB beside what serves; {free:.0f} free"
