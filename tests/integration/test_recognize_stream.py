"""Streams of frames through the real stack."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from framelens_client import AsyncClient, Client, InvalidPicture, Recognition, StreamFrame

FRAMES = 200


def labels(recognition: Recognition | None) -> list[str]:
    assert recognition is not None
    return [found.label for found in recognition.objects]


def test_two_hundred_frames_over_one_connection(
    client: Client, sample: Callable[[str], bytes], anew: Callable[[bytes], bytes]
) -> None:
    """Every frame is answered as Recognize answers its picture, whether an engine looks at it or it was seen before."""
    pictures = [sample(name) for name in ("coffee.png", "motorcycle_left.png", "chelsea.png")]
    expected = [labels(client.recognize(picture, timeout_s=30)) for picture in pictures]
    frames = [
        StreamFrame(str(n), anew(pictures[n % 3]) if n % 4 == 0 else pictures[n % 3], timeout_s=60)
        for n in range(FRAMES)
    ]
    answers = list(client.recognize_stream(frames))
    assert sorted(int(answer.id) for answer in answers) == list(range(FRAMES))
    for answer in answers:
        assert answer.error is None, (answer.id, answer.error)
        assert labels(answer.recognition) == expected[int(answer.id) % 3], answer.id
    assert [answer.id for answer in answers] != [frame.id for frame in frames], "those seen before overtake the others"


def test_a_frame_that_is_no_picture_touches_no_other(client: Client, sample: Callable[[str], bytes]) -> None:
    frames = [StreamFrame("a", sample("coffee.png")), StreamFrame("b", b"%PDF"), StreamFrame("c", sample("coffee.png"))]
    answers = {answer.id: answer for answer in client.recognize_stream(frames)}
    assert isinstance(answers["b"].error, InvalidPicture)
    assert "cup" in labels(answers["a"].recognition)
    assert labels(answers["a"].recognition) == labels(answers["c"].recognition)


async def test_frames_are_answered_while_others_are_still_to_come(
    stack: dict[str, str], sample: Callable[[str], bytes], anew: Callable[[bytes], bytes]
) -> None:
    answered = asyncio.Event()

    async def frames() -> AsyncIterator[StreamFrame]:
        for name in "abc":
            yield StreamFrame(name, anew(sample("coffee.png")), timeout_s=30)
            await answered.wait()
            answered.clear()

    seen = []
    async with AsyncClient(stack["grpc"]) as client:
        async for answer in client.recognize_stream(frames()):
            seen.append(answer.id)
            answered.set()
    assert seen == ["a", "b", "c"]


def test_a_stream_that_is_left_holds_nothing_back(
    client: Client, sample: Callable[[str], bytes], anew: Callable[[bytes], bytes]
) -> None:
    frames = (StreamFrame(str(n), anew(sample("coffee.png"))) for n in range(FRAMES))
    assert next(iter(client.recognize_stream(frames))).recognition is not None
    started = time.monotonic()
    assert labels(client.recognize(anew(sample("coffee.png")), timeout_s=20))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("timeout_s", [0.001])
def test_a_frame_has_its_own_deadline(
    client: Client, sample: Callable[[str], bytes], anew: Callable[[bytes], bytes], timeout_s: float
) -> None:
    late = StreamFrame("late", anew(sample("coffee.png")), timeout_s=timeout_s)
    answers = {each.id: each for each in client.recognize_stream([late, StreamFrame("a", sample("coffee.png"))])}
    assert answers["late"].error is not None
    assert answers["late"].error.reason in ("DEADLINE_EXCEEDED", "OVERLOADED")
    assert labels(answers["a"].recognition)
