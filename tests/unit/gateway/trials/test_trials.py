"""Trials from begin to end, over the real core and fakes at its two seams."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from gateway_fakes import SPACE, FakeIndex, FakeRecognizer, found, product_row, unit

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest, NotFound, Unavailable
from framelens_gateway.metrics import Metrics
from framelens_gateway.trials.trials import Trials, TriedSearch

DETECTOR = "detector__candidate"
NOW = Deadline(math.inf)
REGION = pb.Box(x_max=1, y_max=1)


@pytest.fixture
def tried(trials: Trials, recognizer: FakeRecognizer, index: FakeIndex) -> TriedSearch:
    recognizer.models |= {DETECTOR, f"{SPACE}__candidate"}
    recognizer.objects[b"frame"] = [found("cup")]
    index.add(product_row("old"))
    index.add_collection("products__next", "embedder_new")
    index.rows["products__next__embedder_new"]["new"] = product_row("new")
    return TriedSearch(trials)


def canary(share: float = 1.0, **candidate: str) -> pb.StartTrialRequest:
    bounds = pb.Bounds(max_p99_ms=60_000)
    return pb.StartTrialRequest(kind="canary", share=share, bounds=bounds, **candidate or {"engine": DETECTOR})


def shadow(**candidate: str) -> pb.StartTrialRequest:
    return pb.StartTrialRequest(kind="shadow", share=1, **candidate or {"engine": DETECTOR})


async def recognize(tried: TriedSearch) -> pb.RecognizeResponse:
    return await tried.recognize(pb.RecognizeRequest(picture=b"frame"), Deadline.after(5))


async def region(tried: TriedSearch) -> pb.SearchRegionResponse:
    return await tried.search_region(pb.SearchRegionRequest(picture=b"cup", region=REGION), Deadline.after(5))


async def look(trials: Trials) -> pb.Trial:
    return await trials.get(pb.GetTrialRequest(), NOW)


async def stop(trials: Trials) -> pb.Trial:
    return await trials.stop(pb.StopTrialRequest(), NOW)


async def test_none_is_running_at_first(trials: Trials) -> None:
    assert await look(trials) == pb.Trial(state="none")
    assert await stop(trials) == pb.Trial(state="none")


async def test_a_canary_of_a_detector_serves_frames_and_leaves_regions(
    trials: Trials, tried: TriedSearch, recognizer: FakeRecognizer
) -> None:
    begun = await trials.start(canary(), NOW)
    assert (begun.state, begun.kind, begun.candidate, begun.share) == ("running", "canary", DETECTOR, 1)
    assert time.time() - begun.started_at < 5
    assert not begun.HasField("ended_at")
    assert any("recognizer__candidate" in note for note in begun.notes)
    assert (await recognize(tried)).served.candidate == DETECTOR
    assert (await region(tried)).served.candidate == ""
    assert [call.detector for call in recognizer.calls] == [DETECTOR, "detector"]
    ended = await stop(trials)
    assert (ended.state, ended.reason, ended.canary.served) == ("stopped", "by command", 1)
    assert (await recognize(tried)).served.candidate == ""
    assert recognizer.calls[-1].detector == "detector"
    assert await look(trials) == await stop(trials) == ended


async def test_a_canary_of_a_space_is_answered_wholly_in_it(
    trials: Trials, tried: TriedSearch, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    await trials.start(canary(space="next"), NOW)
    answer = await region(tried)
    assert list(answer.served.collections) == ["products__next__embedder_new"]
    assert answer.served.candidate == "products__next"
    assert [match.id for match in answer.matches] == ["new"]
    assert recognizer.calls[-1].embedder == "embedder_new"
    assert index.of("search")[-1][0] == "products__next__embedder_new"
    assert (await recognize(tried)).served.candidate == "products__next"


async def test_a_shadow_of_a_space_reports_what_differs(
    trials: Trials, tried: TriedSearch, until: Callable[..., Any]
) -> None:
    await trials.start(shadow(space="next"), NOW)
    answer = await region(tried)
    assert ([match.id for match in answer.matches], answer.served.candidate) == (["old"], "")
    while not (report := (await look(trials)).shadow).compared:
        await asyncio.sleep(0.01)
    assert (report.searches, report.agreed_top1) == (1, 0)
    assert report.disagreements[0].what == "region: best match old live, new candidate"


async def test_an_embedder_candidate_searches_the_live_collection(
    trials: Trials, tried: TriedSearch, recognizer: FakeRecognizer
) -> None:
    await trials.start(canary(engine=f"{SPACE}__candidate"), NOW)
    answer = await region(tried)
    assert (answer.served.candidate, list(answer.served.collections)) == (f"{SPACE}__candidate", [f"products__{SPACE}"])
    assert recognizer.calls[-1].embedder == f"{SPACE}__candidate"


async def test_a_canary_that_fails_is_rolled_back_and_nobody_notices(
    trials: Trials, tried: TriedSearch, index: FakeIndex, metrics: Metrics
) -> None:
    await trials.start(canary(space="next"), NOW)
    share = {"kind": "canary", "candidate": "products__next"}
    assert metrics.registry.get_sample_value("framelens_trial_share", share) == 1
    del index.aliases["products__next"]
    answers = [await region(tried) for _ in range(10)]
    assert {answer.served.candidate for answer in answers} == {""}
    trial = await look(trials)
    assert (trial.state, trial.canary.failed) == ("rolled_back", 3)
    assert trial.reason.startswith("3 of the last 3 requests failed")
    assert trial.HasField("ended_at")
    assert metrics.registry.get_sample_value("framelens_canary_rollbacks_total", {"bound": "error_rate"}) == 1
    assert metrics.registry.get_sample_value("framelens_trial_share", share) is None
    assert (await stop(trials)).state == "rolled_back"


async def test_a_vector_that_the_index_refuses_fails_no_neighbour(
    trials: Trials, tried: TriedSearch, index: FakeIndex, recognizer: FakeRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches of one collection share a call, and one bad vector fails all of it: a candidate has calls of its own."""
    bad, plain, held = unit(float("nan")), index.search, asyncio.Event()

    async def strict(collection: str, vectors: Any, limit: int, expression: str, timeout_s: float) -> Any:
        await held.wait()
        if any(vector[0] != vector[0] for vector in vectors):
            raise RuntimeError("NaN")
        return await plain(collection, vectors, limit, expression)

    async def recognize_badly(call: Any, deadline: Any) -> Any:
        answer = await FakeRecognizer.recognize(recognizer, call, deadline)
        if call.detector == DETECTOR:
            return replace(answer, objects=[replace(answer.objects[0], embedding=bad)])
        return answer

    monkeypatch.setattr(index, "search", strict)
    monkeypatch.setattr(recognizer, "recognize", recognize_badly)
    await trials.start(canary(0.5), NOW)
    keys = [pb.RecognizeRequest(picture=b"frame", key=f"user-{number}") for number in range(40)]
    asked = [asyncio.create_task(tried.recognize(request, Deadline.after(5))) for request in keys]
    await asyncio.sleep(0.1)
    held.set()
    answers = await asyncio.gather(*asked)
    assert {answer.objects[0].matches[0].id for answer in answers} == {"old"}
    assert (await look(trials)).canary.failed > 0


async def test_the_same_trial_again_changes_its_share_and_begins_its_figures_anew(
    trials: Trials, tried: TriedSearch
) -> None:
    await trials.start(canary(0.999), NOW)
    await recognize(tried)
    again = await trials.start(canary(), NOW)
    assert (again.share, again.canary.served) == (1, 0)
    await recognize(tried)
    assert (await look(trials)).canary.served == 1


@pytest.mark.parametrize("other", [shadow(), canary(space="next")])
async def test_another_trial_must_wait_for_the_first_to_end(
    trials: Trials, tried: TriedSearch, other: pb.StartTrialRequest
) -> None:
    await trials.start(canary(), NOW)
    with pytest.raises(InvalidRequest, match=f"a canary of {DETECTOR} is running; stop it first"):
        await trials.start(other, NOW)
    assert (await look(trials)).candidate == DETECTOR
    await stop(trials)
    assert (await trials.start(other, NOW)).state == "running"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (pb.StartTrialRequest(kind="", share=0.5), "kind"),
        (pb.StartTrialRequest(kind="ab", share=0.5), "kind"),
        (pb.StartTrialRequest(kind="canary"), "share"),
        (pb.StartTrialRequest(kind="canary", share=1.5), "share"),
        (pb.StartTrialRequest(kind="shadow", share=-1), "share"),
        (pb.StartTrialRequest(kind="shadow", share=float("nan")), "share"),
        (pb.StartTrialRequest(kind="shadow", share=1, bounds=pb.Bounds(window=5)), "a shadow has no bounds"),
        (pb.StartTrialRequest(kind="canary", share=1, engine=DETECTOR), "give max_p99_ms too"),
        (pb.StartTrialRequest(kind="canary", share=0.5, bounds=pb.Bounds(window=-1)), "window"),
        (pb.StartTrialRequest(kind="canary", share=0.5), "names no candidate"),
    ],
)
async def test_wrong_requests_are_refused(
    trials: Trials, tried: TriedSearch, request_: pb.StartTrialRequest, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        await trials.start(request_, NOW)
    assert (await look(trials)).state == "none"


async def test_a_candidate_that_is_not_there_leaves_the_running_trial_alone(trials: Trials, tried: TriedSearch) -> None:
    await trials.start(canary(), NOW)
    with pytest.raises(NotFound, match="not ready in Triton"):
        await trials.start(canary(engine="embedder_absent__candidate"), NOW)
    assert (await look(trials)).state == "running"


async def test_milvus_away_refuses_a_trial(trials: Trials, tried: TriedSearch, index: FakeIndex) -> None:
    index.fail("resolve", Unavailable(Reason.MILVUS_UNAVAILABLE, "away"))
    with pytest.raises(Unavailable):
        await trials.start(canary(space="next"), NOW)


async def test_two_that_start_at_once_do_not_both_run(trials: Trials, tried: TriedSearch) -> None:
    outcomes = await asyncio.gather(
        trials.start(canary(), NOW), trials.start(canary(space="next"), NOW), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [pb.Trial, InvalidRequest]


async def test_closing_ends_the_trial(trials: Trials, tried: TriedSearch) -> None:
    await trials.start(shadow(), NOW)
    await trials.close()
    assert (await look(trials)).reason == "the gateway stops"
