"""Parts are killed at bad moments: what was acknowledged stays, callers are told which part, and it comes back."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from framelens_client import Client, FrameLensError, Unavailable
from framelens_client.settings import Retries

RESTART_S = 60


@pytest.fixture
def impatient(own_stack: object) -> Iterator[Client]:
    """A client that reports the first failure."""
    with Client(own_stack["grpc"], retries=Retries(attempts=1)) as connected:
        yield connected


def kill(stack: object, part: str) -> int:
    pid = stack.pid(part)
    os.kill(pid, signal.SIGKILL)
    return pid


def eventually(work: Callable[[], object]) -> object:
    """The result of work once it stops failing."""
    end = time.monotonic() + RESTART_S
    while True:
        try:
            return work()
        except FrameLensError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@pytest.mark.parametrize(("part", "reason"), [("triton", "TRITON_UNAVAILABLE"), ("milvus", "MILVUS_UNAVAILABLE")])
def test_a_dead_part_is_named_and_comes_back(
    own_stack: object,
    impatient: Client,
    sample: Callable,
    anew: Callable,
    upsert_of: Callable,
    part: str,
    reason: str,
) -> None:
    picture = sample("coffee.png")
    eventually(lambda: impatient.upsert_products([upsert_of("cup", "coffee.png")]))
    eventually(lambda: impatient.recognize(picture))
    old = kill(own_stack, part)
    with pytest.raises(Unavailable) as caught:
        for _ in range(50):
            impatient.recognize(anew(picture))
    assert caught.value.reason == reason
    answer = eventually(lambda: impatient.recognize(picture))
    assert answer.objects[0].matches[0].id == "cup"
    assert own_stack.pid(part) != old
    assert f"{part} died" in own_stack.log.read_text()


@pytest.mark.parametrize("part", ["milvus", "gateway", "triton"])
def test_no_acknowledged_product_is_lost(own_stack: object, upsert_of: Callable, part: str) -> None:
    acknowledged: list[str] = []
    stop = threading.Event()

    def write() -> None:
        with Client(own_stack["grpc"], retries=Retries(attempts=1)) as writer:
            for number in range(10_000):
                if stop.is_set():
                    return
                wanted = upsert_of(f"{part}-{number:04d}", "coins.png")
                try:
                    result = writer.upsert_products([wanted]).results[0]
                except FrameLensError:
                    time.sleep(0.1)
                    continue
                assert result.error is None
                acknowledged.append(result.id)

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(2):
        before = len(acknowledged)
        end = time.monotonic() + RESTART_S
        while len(acknowledged) < before + 5 and time.monotonic() < end:
            time.sleep(0.01)
        kill(own_stack, part)
    time.sleep(0.5)
    stop.set()
    thread.join(RESTART_S)
    assert len(acknowledged) >= 10
    with Client(own_stack["grpc"]) as reader:
        stored = eventually(lambda: {each.product.id for each in reader.all_products()})
    assert set(acknowledged) - stored == set()


def test_triton_restarted_under_load_costs_only_clear_errors(
    own_stack: object, sample: Callable, anew: Callable
) -> None:
    picture = sample("coffee.png")
    with Client(own_stack["grpc"]) as client:
        eventually(lambda: client.recognize(picture))
    outcomes: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        with Client(own_stack["grpc"], retries=Retries(attempts=1)) as client:
            while not stop.is_set():
                try:
                    outcomes.append("ok" if client.recognize(anew(picture)).objects else "empty")
                except FrameLensError as error:
                    outcomes.append(str(error.reason))
                    time.sleep(0.05)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    kill(own_stack, "triton")
    end = time.monotonic() + RESTART_S
    while ("TRITON_UNAVAILABLE" not in outcomes or outcomes[-5:] != ["ok"] * 5) and time.monotonic() < end:
        time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join(RESTART_S)
    assert set(outcomes) <= {"ok", "TRITON_UNAVAILABLE", "DEADLINE_EXCEEDED"}
    assert "TRITON_UNAVAILABLE" in outcomes
    assert outcomes[-1] == "ok"
