"""Frames that come again: answered from what is kept, and never with what has changed since."""

from collections.abc import Callable

from framelens_client import Box, Client

WHOLE = Box(0.0, 0.0, 1.0, 1.0)
ENGINE_STAGES = ("decode", "resize", "detect", "crop", "embed")


def ids(client: Client, picture: bytes) -> list[str]:
    return [match.id for match in client.search_region(picture, WHOLE, top_k=3).matches]


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
        assert ids(client, frame)[0] == "retina"
        client.upsert_products([upsert_of("retina", "brick.png")])
        assert ids(client, frame)[0] != "retina"
        client.upsert_products([upsert_of("retina", "retina.jpg")])
        assert ids(client, frame)[0] == "retina"
        client.delete_products(["retina"])
        assert "retina" not in ids(client, frame)
