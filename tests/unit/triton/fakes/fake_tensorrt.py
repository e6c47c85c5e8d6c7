"""A TensorRT whose plans double what they are given, on a `HostDriver`: real calls, and work of this machine's."""

import json
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from host_driver import HostDriver

from framelens_triton.cuda.memory import host_view

WIDTH = 2


class Engine:
    """`images` uint8 [n, 2] -> `doubled` float32 [n, 2] and `build` int32 [n, 1], for the batches of `profiles`."""

    device_memory_size_v2 = 4096
    num_io_tensors = 3
    _tensors = (("images", "uint8", WIDTH), ("doubled", "float32", WIDTH), ("build", "int32", 1))

    def __init__(self, driver: HostDriver, description: dict[str, Any]) -> None:
        self.driver = driver
        self.profiles = description["profiles"]
        self.contexts: list[Context] = []

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.profiles)

    def get_tensor_name(self, index: int) -> str:
        return self._tensors[index][0]

    def _of(self, name: str) -> tuple[str, str, int]:
        return next(each for each in self._tensors if each[0] == name)

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name == "images" else "output"

    def get_tensor_dtype(self, name: str) -> str:
        return self._of(name)[1]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return -1, self._of(name)[2]

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return [(size, WIDTH) for size in self.profiles[profile]]

    def create_runtime_config(self) -> SimpleNamespace:
        options = SimpleNamespace()
        options.set_execution_context_allocation_strategy = lambda strategy: setattr(options, "strategy", strategy)
        return options

    def create_execution_context(self, options: SimpleNamespace | str) -> "Context":
        """Of TensorRT-RTX, or of the other one, which knows no options but this one."""
        if isinstance(options, SimpleNamespace):
            assert options.dynamic_shapes_kernel_specialization_strategy == "eager"
            options = options.strategy
        assert options == "user managed"
        self.contexts.append(Context(self))
        return self.contexts[-1]


class Context:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}
        self.runs = 0

    def set_device_memory(self, address: int, size: int) -> None:
        assert address % 256 == 0
        assert size >= self.engine.device_memory_size_v2

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        self.profile = self.engine.profiles[profile]
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self.profile
        self.rows = shape[0]
        return least <= self.rows <= most

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self.engine.driver.submit(stream, self._work)
        return True

    def _work(self) -> None:
        self.runs += 1
        images, doubled, build = (
            host_view(self.addresses[name], (self.rows, width), dtype) for name, dtype, width in Engine._tensors
        )
        doubled[...] = images.astype(np.float32) * 2
        build[...] = 77


class FakeTensorrt(ModuleType):
    __version__ = "1.2.3"
    ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user managed")
    DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="eager")
    TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")

    def __init__(self, driver: HostDriver) -> None:
        super().__init__("tensorrt_rtx")
        self.__spec__ = SimpleNamespace(name="tensorrt_rtx")
        self.driver = driver
        self.engines: list[Engine] = []

    class Logger:
        WARNING = 2

        def __init__(self, level: int) -> None:
            pass

    def Runtime(self, logger: object) -> SimpleNamespace:
        runtime = SimpleNamespace(engine_host_code_allowed=False)
        runtime.deserialize_cuda_engine = lambda plan: self._deserialised(plan, runtime.engine_host_code_allowed)
        return runtime

    def _deserialised(self, plan: bytes, host_code_allowed: bool) -> Engine | None:
        """A plan that carries its runtime is refused unless its code may run."""
        if not plan.startswith(b"{"):
            return None
        described = json.loads(plan)
        if described.get("carries_runtime") and not host_code_allowed:
            return None
        self.engines.append(Engine(self.driver, described))
        return self.engines[-1]

    @staticmethod
    def nptype(dtype: str) -> type:
        return getattr(np, dtype)
