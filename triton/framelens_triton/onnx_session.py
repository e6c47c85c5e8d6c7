"""How this project runs ONNX engines on a CPU: one way, inside Triton and in measurements beside it."""

from pathlib import Path

import onnxruntime as ort


def onnx_session(model: Path | bytes, threads: int, *, as_written: bool = False) -> ort.InferenceSession:
    """A session on the CPU with `threads` threads, 0 for one on each core. Raises ONNX Runtime's own exceptions.

    `as_written` computes quantised networks in floating point, as their graphs are: slower, and the same on every CPU.
    """
    options = ort.SessionOptions()
    # What goes wrong is raised; warnings about a network's style are for its author.
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Instances share the cores: a thread that spins takes them from its neighbour.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if as_written:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
