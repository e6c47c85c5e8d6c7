import numpy as np
import pytest

from framelens_engines import contract
from framelens_engines.onnx_graph import FLOAT, INT32, GraphBuilder, Port
from framelens_engines.probe import open_session, run
from framelens_engines.tensors import BUILD, EMBEDDING

from .conftest import Pictures


@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize("channels_first", [False, True])
def test_normalisation_in_the_graph_is_that_by_hand(picture: Pictures, *, bgr: bool, channels_first: bool) -> None:
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    builder = GraphBuilder()
    value = contract.write_normalised(
        builder, contract.Normalisation(mean, std, bgr=bgr), channels_first=channels_first
    )
    shape = (None, 3, 48, 48) if channels_first else (None, 48, 48, 3)
    model = builder.model("n", [contract.images_port(48, 48)], [Port(value, FLOAT, shape)])
    pixels = picture("astronaut.png", 48)
    by_hand = ((pixels[..., ::-1] if bgr else pixels) - np.array(mean)) / np.array(std)
    expected = by_hand.transpose(0, 3, 1, 2) if channels_first else by_hand
    assert np.allclose(run(open_session(model.SerializeToString()), {"images": pixels})[value], expected, atol=1e-5)


def test_every_picture_of_a_batch_gets_the_build() -> None:
    builder = GraphBuilder()
    contract.write_build(builder, 2**31 - 1)
    model = builder.model("b", [contract.images_port(4, 4)], [Port(BUILD, INT32, (None, 1))])
    session = open_session(model.SerializeToString())
    for batch in (1, 7):
        build = run(session, {"images": np.zeros((batch, 4, 4, 3), np.uint8)})["build"]
        assert build.shape == (batch, 1)
        assert (build == 2**31 - 1).all()


@pytest.mark.parametrize("opset", [13, 17, 18])
def test_an_embedding_of_nothing_is_finite(opset: int) -> None:
    builder = GraphBuilder(opset)
    contract.write_embedding(builder, "feature")
    port = Port("feature", FLOAT, (None, 2))
    model = builder.model("e", [port], [Port(EMBEDDING, FLOAT, (None, 2))])
    values = np.array([[3, 4], [0, 0]], np.float32)
    answer = run(open_session(model.SerializeToString()), {"feature": values})["embedding"]
    assert np.allclose(answer, [[0.6, 0.8], [0, 0]])
