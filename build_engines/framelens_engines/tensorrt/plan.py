"""Serialised plans of strongly typed networks, by what both flavours of TensorRT share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from pydantic import JsonValue

from framelens_engines.errors import ConversionError
from framelens_engines.tensorrt.flavour import Flavour
from framelens_engines.tensorrt.layers import LayerReport, network_layers
from framelens_engines.tensorrt.options import PlanOptions
from framelens_engines.tensors import IMAGES


@dataclass(frozen=True)
class PlanBuilder:
    """A flavour, and what it is to build for."""

    flavour: Flavour
    options: PlanOptions

    @property
    def gpus(self) -> tuple[str, ...]:
        """As `Flavour.gpus`."""
        return self.flavour.gpus(self.options)

    def decisions(self) -> dict[str, JsonValue]:
        """What decides about a plan besides its ONNX, for the recipe: another version or GPU makes another build."""
        return {
            "batch": self.options.batch.model_dump(),
            "builder": str(self.flavour),
            "gpus": list(self.gpus),
            "hardware_compatibility": self.options.hardware_compatibility,
            "version_compatible": self.options.version_compatible,
        }

    def build(self, model: onnx.ModelProto, timings: Path) -> tuple[bytes, LayerReport]:
        """The plan and its layers; `timings` is a folder that builds share. Raises ConversionError."""
        trt = self.flavour.trt
        logger = trt.Logger(trt.Logger.ERROR)
        builder = trt.Builder(logger)
        network = self._network(builder, logger, model)
        config = builder.create_builder_config()
        config.add_optimization_profile(self._batches(builder, network))
        self.flavour.configure(config, self.options)
        with self.flavour.timings(config, timings):
            serialised = builder.build_serialized_network(network, config)
        if serialised is None:
            raise ConversionError(f"{self.flavour} could not build this network; its log says why")
        plan = bytes(serialised)
        layers = network_layers(network)
        return plan, LayerReport(builder=str(self.flavour), network=layers, engine=self.flavour.inspected(logger, plan))

    def _network(self, builder: Any, logger: Any, model: onnx.ModelProto) -> Any:  # noqa: ANN401
        trt = self.flavour.trt
        # Types are those of the ONNX: TensorRT 10 must be asked for that, others may know nothing else.
        flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        network = builder.create_network(0 if flag is None else 1 << int(flag))
        parser = trt.OnnxParser(network, logger)
        if not parser.parse(model.SerializeToString()):
            errors = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
            raise ConversionError(f"{self.flavour} does not take this network: {errors}")
        return network

    def _batches(self, builder: Any, network: Any) -> Any:  # noqa: ANN401
        batch = self.options.batch
        shape = tuple(network.get_input(0).shape)[1:]
        profile = builder.create_optimization_profile()
        profile.set_shape(IMAGES, *((size, *shape) for size in (batch.minimum, batch.optimum, batch.maximum)))
        return profile
