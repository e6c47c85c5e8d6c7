"""What can be tried, and why something cannot."""

import pytest
from gateway_fakes import SIZE, SPACE, FakeIndex, FakeRecognizer

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.aliases import Aliases
from framelens_gateway.errors import GatewayError, InvalidRequest, NotFound, Unavailable
from framelens_gateway.index import Collection
from framelens_gateway.recognizer import DETECTOR
from framelens_gateway.serving import LiveServings, Serving
from framelens_gateway.trials.candidates import Candidates

LIVE = Collection(f"products__{SPACE}", SPACE, SIZE)
EMBEDDER = f"{SPACE}__candidate"


@pytest.fixture
def candidates(live_servings: LiveServings, index: FakeIndex, recognizer: FakeRecognizer) -> Candidates:
    recognizer.models |= {"detector__candidate", EMBEDDER}
    return Candidates(live_servings, index, recognizer, DETECTOR)


async def test_a_detector(candidates: Candidates) -> None:
    found = await candidates.find(pb.StartTrialRequest(engine="detector__candidate"))
    assert (found.name, found.sees_regions, found.shares_recognizer) == ("detector__candidate", False, True)
    assert await found.servings.serving() == Serving(LIVE, SPACE, "detector__candidate")


async def test_a_detector_of_another_name(aliases: Aliases, index: FakeIndex, recognizer: FakeRecognizer) -> None:
    recognizer.models |= {"yolo__candidate", "detector__candidate", EMBEDDER}
    index.add_collection("products__next", "embedder_new", SIZE)
    live = LiveServings(aliases, "yolo")
    assert await live.serving() == Serving(LIVE, SPACE, "yolo")
    candidates = Candidates(live, index, recognizer, "yolo")
    found = await candidates.find(pb.StartTrialRequest(engine="yolo__candidate"))
    assert (found.sees_regions, await found.servings.serving()) == (False, Serving(LIVE, SPACE, "yolo__candidate"))
    for other in ({"engine": EMBEDDER}, {"space": "next"}):
        assert (await (await candidates.find(pb.StartTrialRequest(**other))).servings.serving()).detector == "yolo"
    with pytest.raises(InvalidRequest, match="name yolo__candidate, or"):
        await candidates.find(pb.StartTrialRequest(engine="detector__candidate"))


async def test_an_embedder_of_the_live_space(candidates: Candidates) -> None:
    found = await candidates.find(pb.StartTrialRequest(engine=EMBEDDER))
    assert found.sees_regions
    assert await found.servings.serving() == Serving(LIVE, EMBEDDER, DETECTOR)


async def test_a_space_brings_its_collection(candidates: Candidates, index: FakeIndex) -> None:
    index.add_collection("products__next", "embedder_new", SIZE)
    found = await candidates.find(pb.StartTrialRequest(space="next"))
    assert found.name == "products__next"
    collection = Collection("products__next__embedder_new", "embedder_new", SIZE)
    assert await found.servings.serving() == Serving(collection, "embedder_new", DETECTOR)


@pytest.mark.parametrize("asked", [{"engine": "detector__candidate"}, {"engine": EMBEDDER}, {"space": "next"}])
async def test_a_recognizer_of_its_own_is_used_where_it_is_loaded(
    candidates: Candidates, recognizer: FakeRecognizer, index: FakeIndex, asked: dict[str, str]
) -> None:
    index.add_collection("products__next", "embedder_new", SIZE)
    recognizer.models.add("recognizer__candidate")
    found = await candidates.find(pb.StartTrialRequest(**asked))
    assert not found.shares_recognizer
    assert (await found.servings.serving()).recognizer == "recognizer__candidate"


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({}, InvalidRequest, "names no candidate"),
        ({"engine": ""}, InvalidRequest, "is no candidate engine"),
        ({"engine": "detector"}, InvalidRequest, "is no candidate engine"),
        ({"engine": "recognizer__candidate"}, InvalidRequest, "is no candidate engine"),
        ({"engine": "embedder_absent__candidate"}, NotFound, "embedder_absent__candidate is not ready in Triton"),
        ({"space": "products"}, InvalidRequest, "is no candidate space"),
        ({"space": "next"}, NotFound, "no alias products__next"),
    ],
)
async def test_what_cannot_be_tried(
    candidates: Candidates, asked: dict[str, str], kind: type[GatewayError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        await candidates.find(pb.StartTrialRequest(**asked))


async def test_an_embedder_of_another_space_is_no_engine_candidate(
    candidates: Candidates, recognizer: FakeRecognizer
) -> None:
    recognizer.models.add("embedder_other__candidate")
    with pytest.raises(Unavailable, match="try a space") as refused:
        await candidates.find(pb.StartTrialRequest(engine="embedder_other__candidate"))
    assert refused.value.reason is Reason.SPACE_MISMATCH


async def test_vectors_of_another_width_are_refused_at_once(
    candidates: Candidates, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    index.add_collection("products__next", "embedder_new", SIZE)
    recognizer.size = SIZE + 1
    for asked in ({"engine": EMBEDDER}, {"space": "next"}):
        with pytest.raises(Unavailable, match="dimensions"):
            await candidates.find(pb.StartTrialRequest(**asked))


async def test_a_switch_of_the_live_alias_never_mixes_spaces(candidates: Candidates, index: FakeIndex) -> None:
    embedder = await candidates.find(pb.StartTrialRequest(engine=EMBEDDER))
    detector = await candidates.find(pb.StartTrialRequest(engine="detector__candidate"))
    index.add_collection("products", "embedder_new", SIZE)
    with pytest.raises(Unavailable) as refused:
        await embedder.servings.serving()
    assert refused.value.reason is Reason.SPACE_MISMATCH
    assert (await detector.servings.serving()).embedder == "embedder_new"


async def test_an_alias_that_goes_during_a_trial_is_a_failure_of_the_candidate(
    candidates: Candidates, index: FakeIndex
) -> None:
    index.add_collection("products__next", "embedder_new", SIZE)
    found = await candidates.find(pb.StartTrialRequest(space="next"))
    del index.aliases["products__next"]
    with pytest.raises(Unavailable, match="products__next is gone"):
        await found.servings.serving()
