"""Plans for TensorRT, from whichever of its two builders is installed; building needs no GPU with TensorRT-RTX."""

import importlib
from types import ModuleType

import onnx

from framelens_engines.engine import BatchProfile
from framelens_engines.errors import ConversionError
from framelens_engines.tensors import IMAGES

_BUILDERS = ("tensorrt", "tensorrt_rtx")


def built_plan(model: onnx.ModelProto, profile: BatchProfile) -> bytes:
    """A serialised plan of a strongly typed network. Raises ConversionError where none can be built."""
    trt = _builder()
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        errors = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise ConversionError(f"TensorRT {trt.__version__} does not take this network: {errors}")
    shape = tuple(network.get_input(0).shape)[1:]
    batches = builder.create_optimization_profile()
    batches.set_shape(IMAGES, *((batch, *shape) for batch in (profile.minimum, profile.optimum, profile.maximum)))
    config = builder.create_builder_config()
    config.add_optimization_profile(batches)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ConversionError(f"TensorRT {trt.__version__} could not build this network; its log says why")
    return bytes(plan)


def _strongly_typed(trt: ModuleType) -> int:
    """Flags of a network whose types are those of the ONNX: TensorRT 10 must be asked, others may know nothing else."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _builder() -> ModuleType:
    for name in _BUILDERS:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ConversionError(
        "no TensorRT is installed here; `pip install tensorrt-rtx` builds plans without a GPU, `pip install tensorrt`"
        " with one"
    )
