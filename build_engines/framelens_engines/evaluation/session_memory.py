"""Resident memory that one loaded engine adds to a process, measured in a fresh one; run as a module there.

Of a plan, that of the host; what it takes of the GPU's is not measured.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from framelens_engines.errors import EngineError
from framelens_engines.evaluation.engines import ALL_CORES, OpenEngine, version_name
from framelens_engines.evaluation.plan_engine import open_plan
from framelens_engines.evaluation.report import Memory
from framelens_engines.repository import engine_file
from framelens_triton.onnx_session import onnx_session

_STATUS = Path("/proc/self/status")
_RESET_PEAK = Path("/proc/self/clear_refs")
_MIB_PER_KIB = 1 / 1024
_LIMIT_S = 120


def measure_memory(engine: OpenEngine) -> Memory:
    """Loads the engine in a process of its own and asks it for the largest batch that callers may send.

    Raises EngineError where that fails.
    """
    path = engine_file(engine.folder, engine.record.target)
    arguments = [str(path), str(engine.max_batch), str(engine.shape.height), str(engine.shape.width)]
    command = [sys.executable, "-m", __name__, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=True)
        return Memory.model_validate_json(done.stdout)
    except subprocess.CalledProcessError as error:
        found = error.stderr.strip().splitlines()[-1:] or [f"it ended with {error.returncode}"]
        raise EngineError(f"the memory of {version_name(engine.folder)} cannot be measured: {found[0]}") from error
    except (subprocess.TimeoutExpired, ValidationError) as error:
        raise EngineError(f"the memory of {version_name(engine.folder)} cannot be measured: {error}") from error


def _resident_mib(field: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * _MIB_PER_KIB


def _opened(model: Path, batch: int) -> Callable[[NDArray[np.uint8]], object]:
    if model.suffix == ".plan":
        return open_plan(model, batch)
    session = onnx_session(model, ALL_CORES)
    return lambda images: session.run(None, {session.get_inputs()[0].name: images})


def _main(model: str, batch: str, height: str, width: str) -> None:
    before = _resident_mib("VmRSS")
    _RESET_PEAK.write_text("5")  # proc(5): the peak becomes what is resident now.
    infer = _opened(Path(model), int(batch))
    load_peak, loaded = _resident_mib("VmHWM"), _resident_mib("VmRSS")
    images = np.zeros((int(batch), int(height), int(width), 3), np.uint8)
    infer(images)
    memory = Memory(
        load_peak_mib=load_peak - before,
        loaded_mib=loaded - before,
        working_mib=_resident_mib("VmRSS") - before,
        batch=int(batch),
    )
    sys.stdout.write(json.dumps(memory.model_dump()))


if __name__ == "__main__":
    _main(*sys.argv[1:])
