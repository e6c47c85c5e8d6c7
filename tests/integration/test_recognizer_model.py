"""The `recognizer` model itself, asked over Triton's gRPC."""

import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException

EMBEDDER = "embedder_effnet_lite0"
OUTPUTS = ("count", "boxes", "labels", "scores", "embeddings", "engines", "stages_ms", "error", "picture_size")


@pytest.fixture
def triton(stack: object) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(stack["triton_grpc"]) as connected:
        yield connected


def ask(
    triton: InferenceServerClient,
    pictures: list[bytes],
    regions: object = None,
    outputs: Sequence[str] = OUTPUTS,
    **parameters: object,
) -> InferResult:
    batch = InferInput("picture", [len(pictures), 1], "BYTES")
    batch.set_data_from_numpy(np.array([[picture] for picture in pictures], np.object_))
    inputs = [batch]
    if regions is not None:
        boxes = np.array(regions, np.float32)
        inputs.append(InferInput("regions", list(boxes.shape), "FP32"))
        inputs[1].set_data_from_numpy(boxes)
    requested = [InferRequestedOutput(name) for name in outputs]
    return triton.infer("recognizer", inputs, outputs=requested, parameters={"embedder": EMBEDDER, **parameters})


def test_one_broken_picture_does_not_fail_its_neighbours(triton: InferenceServerClient, jpeg: Callable) -> None:
    good = jpeg("coffee.png")
    found = ask(triton, [good, good[:2000], jpeg("chelsea.png")])
    errors = [json.loads(error) if error else None for error in found.as_numpy("error")[:, 0]]
    assert [error and error["reason"] for error in errors] == [None, "INVALID_PICTURE", None]
    assert found.as_numpy("count")[1, 0] == 0
    assert found.as_numpy("labels")[0, 0] == b"cup"
    assert found.as_numpy("labels")[2, 0] == b"cat"


def test_a_picture_answers_the_same_alone_and_in_a_batch(triton: InferenceServerClient, jpeg: Callable) -> None:
    names = ("coffee.png", "motorcycle_left.png", "astronaut.png", "chelsea.png")
    together = ask(triton, [jpeg(name) for name in names])
    for at, name in enumerate(names):
        alone = ask(triton, [jpeg(name)])
        count = alone.as_numpy("count")[0, 0]
        assert together.as_numpy("count")[at, 0] == count
        np.testing.assert_allclose(
            alone.as_numpy("embeddings")[0, :count], together.as_numpy("embeddings")[at, :count], atol=1e-3
        )


def test_embeddings_have_length_one(triton: InferenceServerClient, jpeg: Callable) -> None:
    found = ask(triton, [jpeg("coffee.png")])
    count = found.as_numpy("count")[0, 0]
    assert count > 0
    lengths = np.linalg.norm(found.as_numpy("embeddings")[0, :count], axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-4)


def test_regions_replace_detection(triton: InferenceServerClient, jpeg: Callable) -> None:
    boxes = [[0.0, 0.0, 0.5, 0.5], [0.25, 0.25, 1.0, 1.0]]
    found = ask(triton, [jpeg("coffee.png")], [boxes])
    assert found.as_numpy("count")[0, 0] == 2
    np.testing.assert_allclose(found.as_numpy("boxes")[0], boxes, atol=1e-6)
    assert list(json.loads(found.as_numpy("engines")[0, 0])) == [EMBEDDER]


def test_a_space_that_is_not_loaded_is_named(triton: InferenceServerClient, jpeg: Callable) -> None:
    found = ask(triton, [jpeg("coffee.png")], embedder="embedder_absent")
    error = json.loads(found.as_numpy("error")[0, 0])
    assert error["reason"] == "SPACE_NOT_LOADED"
    assert "embedder_absent" in error["message"]


def test_without_an_embedder_there_are_boxes_alone(triton: InferenceServerClient, jpeg: Callable) -> None:
    found = ask(triton, [jpeg("coffee.png"), jpeg("chelsea.png")], embedder="")
    assert found.as_numpy("error").tolist() == [[b""], [b""]]
    assert found.as_numpy("labels")[:, 0].tolist() == [b"cup", b"cat"]
    embeddings = found.as_numpy("embeddings")
    assert embeddings.shape[2] == 1
    assert not embeddings.any()
    assert list(json.loads(found.as_numpy("engines")[0, 0])) == ["detector"]


@pytest.mark.parametrize(
    "asked", [{"regions": [[[0.0, 0.0, 0.5, 0.5]]]}, {"outputs": (*OUTPUTS, "crops")}], ids=["regions", "crops"]
)
def test_regions_and_crops_are_for_an_embedder(triton: InferenceServerClient, jpeg: Callable, asked: dict) -> None:
    with pytest.raises(InferenceServerException, match="parameter `embedder` is missing"):
        ask(triton, [jpeg("coffee.png")], embedder="", **asked)


def test_boxes_without_a_name_follow_the_objects(triton: InferenceServerClient, jpeg: Callable) -> None:
    picture = jpeg("coffee.png")
    named, both = ask(triton, [picture]), ask(triton, [picture], unnamed=4)
    count, more = (int(found.as_numpy("count")[0, 0]) for found in (named, both))
    assert count < more <= count + 4
    assert both.as_numpy("labels")[0, :count].tolist() == named.as_numpy("labels")[0, :count].tolist()
    np.testing.assert_array_equal(both.as_numpy("boxes")[0, :count], named.as_numpy("boxes")[0, :count])
    assert set(both.as_numpy("labels")[0, count:more]) == {b"object"}
    scores = both.as_numpy("scores")[0, count:more]
    assert (scores >= 0.03).all()
    assert (np.diff(scores) <= 0).all()
    np.testing.assert_allclose(np.linalg.norm(both.as_numpy("embeddings")[0, :more], axis=1), 1, atol=1e-4)
