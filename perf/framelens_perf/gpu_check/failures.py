"""What ends `gpu-check` before it has measured anything, or keeps one of its steps from a figure.

GpuCheckFailure       the message says what is missing and what to do
├── GpuMissing        this machine has no GPU that can be measured; nothing is
└── EngineMissing     a model has no engine that runs on this GPU
"""


class GpuCheckFailure(Exception):
    pass


class GpuMissing(GpuCheckFailure):
    pass


class EngineMissing(GpuCheckFailure):
    pass
