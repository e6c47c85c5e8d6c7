"""Frames that come again: answered from what is kept, and never with what has changed since."""

from collections.abc import Callable

from framelens_client import Box, Client

WHOLE = Box(0.0, 0.0, 1.0, 1.0)
ENGINE_STAGES = ("decode", "resize", "detect", "crop", "embed")


def score(client: Client, picture: bytes, product: str) -> float:
    """Of a product that the whole picture is searched for; 0 where it is not there."""
    found = {match.id: match.score for match in client.search_region(picture, WHOLE, top_k=100).matches}
    return found.get(product, 0.0)


def test_a_frame_that_comes_again_costs_no_engine(client: Client, sample: Callable, anew: Callable) -> None:
    frame = anew(sample("coffee.png"))
    answers = [client.recognize(frame) for _ in range(6)]
    cost_ms = [sum(answer.served.stages_ms[stage] for stage in ENGINE_STAGES) for answer in answers]
    assert cost_ms[0] > 0
    # Every half second one is answered by the engines, to hear of new versions.
    assert min(cost_ms) == 0
    assert all(answer.objects == answers[0].objects for answer in answers)
    assert all(answer.served.engines == answers[0].served.engines for answer in answers)


def test_a_hot_frame_shows_every_write_at_once(client: Client, sample: Callable, upsert_of: Callable) -> None:
    frame = sample("retina.jpg")
    for _ in range(20):
        client.upsert_products([upsert_of("retina", "retina.jpg")])
        assert score(client, frame, "retina") > 0.95
        client.upsert_products([upsert_of("retina", "brick.png")])
        assert 0 < score(client, frame, "retina") < 0.9
        client.delete_products(["retina"])
        assert score(client, frame, "retina") == 0
