import numpy as np
import pytest
from numpy.typing import NDArray

from framelens_engines.convolution import Convolution, Feature
from framelens_engines.onnx_graph import FLOAT, GraphBuilder, Port
from framelens_engines.probe import open_session, run


def _run(convolution: Convolution, builder: GraphBuilder, value: NDArray[np.float32]) -> NDArray[np.float32]:
    feature = convolution.write(builder)
    size = (None, feature.channels, feature.height, feature.width)
    model = builder.model("c", [Port("x", FLOAT, (None, *value.shape[1:]))], [Port(feature.name, FLOAT, size)])
    output: NDArray[np.float32] = run(open_session(model.SerializeToString()), {"x": value})[feature.name]
    return output


@pytest.mark.parametrize(("size", "kernel"), [(4, 3), (5, 3), (6, 5), (7, 5)])
def test_the_odd_pixel_of_same_padding_is_at_the_end(size: int, kernel: int) -> None:
    ramp = np.arange(size, dtype=np.float32).reshape(1, 1, 1, size).repeat(size, axis=2)
    kernel_weights = np.arange(1.0, kernel + 1).reshape(1, 1, 1, kernel).repeat(kernel, axis=2)
    output = _run(Convolution(Feature("x", 1, size, size), kernel_weights, (2, 2)), GraphBuilder(), ramp)
    columns = -(-size // 2)
    padding = max((columns - 1) * 2 + kernel - size, 0)
    padded = np.pad(ramp[0, 0], ((padding // 2, padding - padding // 2),) * 2)
    expected = [
        [
            (padded[2 * row : 2 * row + kernel, 2 * column : 2 * column + kernel] * kernel_weights[0, 0]).sum()
            for column in range(columns)
        ]
        for row in range(columns)
    ]
    assert np.allclose(output[0, 0], expected)


def test_a_batch_norm_becomes_weights_and_bias() -> None:
    random = np.random.default_rng(3)
    value = random.normal(size=(2, 4, 5, 5)).astype(np.float32)
    plain = Convolution(Feature("x", 4, 5, 5), random.normal(size=(6, 4, 3, 3)))
    gamma, beta, mean = random.normal(size=(3, 6))
    variance = random.uniform(0.5, 2, size=6)
    folded = _run(plain.normalised(gamma, beta, mean, variance, 1e-3), GraphBuilder(), value)
    unfolded = _run(plain, GraphBuilder(), value).transpose(0, 2, 3, 1)
    expected = (unfolded - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    assert np.allclose(folded.transpose(0, 2, 3, 1), expected, atol=1e-4)
