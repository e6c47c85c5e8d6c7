import numpy as np
import onnx
import pytest

from framelens_engines.dynamic_batch import free_batch
from framelens_engines.probe import open_session, run

_NETWORK = """
<ir_version: 8, opset_import: ["" : 17]>
network (float[1,6] x) => (float[1,3,2] y)
<int64[3] target = {{{target}}}, int64[2] row = {{1, 3}}, float[3] weights = {{1, 2, 3}}>
{{
    weight_row = Reshape(weights, row)
    folded = Reshape(x, target)
    factors = Transpose(weight_row)
    y = Mul(folded, factors)
}}
"""


@pytest.mark.parametrize("target", ["1, 3, 2", "1, -1, 2"])
def test_reshapes_of_the_input_follow_the_batch_and_those_of_weights_do_not(target: str) -> None:
    model = onnx.parser.parse_model(_NETWORK.format(target=target))
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    before = [run(open_session(model.SerializeToString()), {"x": value[None]})["y"] for value in values]
    free_batch(model)
    assert np.array_equal(run(open_session(model.SerializeToString()), {"x": values})["y"], np.concatenate(before))
