import numpy as np
import onnx

from framelens_engines.fp16 import halved
from framelens_engines.probe import open_session, run
from framelens_engines.repository import EngineVersion
from framelens_engines.tensors import BUILD, EMBEDDING, IMAGES

from .conftest import Pictures


def test_a_halved_embedder_answers_alike_from_half_the_bytes(
    default_engines: dict[str, EngineVersion], picture: Pictures
) -> None:
    full = onnx.load(default_engines["embedder_effnet_lite0"].engine)
    half = halved(full)
    assert half.ByteSize() < 0.6 * full.ByteSize()
    images = np.concatenate([picture(name, 224) for name in ("coffee.png", "chelsea.png")])
    answers = [run(open_session(model.SerializeToString()), {IMAGES: images}) for model in (full, half)]
    assert (answers[0][EMBEDDING] * answers[1][EMBEDDING]).sum(axis=1).min() > 0.999
    assert answers[1][EMBEDDING].dtype == np.float32
    assert (answers[0][BUILD] == answers[1][BUILD]).all()


def test_a_convolution_and_its_activation_stay_together(default_engines: dict[str, EngineVersion]) -> None:
    for version in default_engines.values():
        graph = halved(onnx.load(version.engine)).graph
        makers = {output: node for node in graph.node for output in node.output}
        activations = [
            node for node in graph.node if node.op_type == "Clip" and makers[node.input[0]].op_type == "Conv"
        ]
        assert len(activations) > 30
