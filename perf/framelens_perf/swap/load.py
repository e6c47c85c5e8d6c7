"""Load in the background of a swap: open loop, every answer kept, latency counted from the scheduled time."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from framelens_client import AsyncClient, FrameLensError, Recognition, RegionSearch
from framelens_client.settings import NO_RETRIES
from framelens_perf.open_loop.sender import Answer, saturate
from framelens_perf.swap.questions import Question
from framelens_perf.workload.traffic import marked

DEADLINE_S = 10.0
_SATURATING_CALLERS = 8
_CANDIDATE_SUFFIX = "__candidate"
_marks = itertools.count()


@dataclass(frozen=True)
class Answered:
    """How one request ended; times are of `time.monotonic`, `outcome` is OK or a reason."""

    scheduled: float
    latency_ms: float
    outcome: str
    mixed_space: bool = False
    wrong: str = ""


class Load:
    """Requests at Poisson times on a thread of its own, from `start` to `stop`."""

    def __init__(self, address: str, asked: Sequence[Question], rate: float) -> None:
        self.answers: list[Answered] = []
        self._address, self._asked, self._rate = address, asked, rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns once every request has its answer."""
        self._stopping.set()
        self._thread.join()

    async def _run(self) -> None:
        arrivals = random.Random(0)  # noqa: S311 - the same in every run
        due = time.monotonic()
        async with AsyncClient(self._address, retries=NO_RETRIES) as client, asyncio.TaskGroup() as group:
            for question in itertools.cycle(self._asked):
                due += arrivals.expovariate(self._rate)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if self._stopping.is_set():
                    return
                group.create_task(self._ask(client, question, due))

    async def _ask(self, client: AsyncClient, question: Question, scheduled: float) -> None:
        try:
            answer = await ask(client, question)
        except FrameLensError as error:
            self.answers.append(Answered(scheduled, _since(scheduled), str(error)))
            return
        self.answers.append(Answered(scheduled, _since(scheduled), "OK", mixes_spaces(answer), fault(question, answer)))


async def ask(client: AsyncClient, question: Question) -> Recognition | RegionSearch:
    """Each time in other bytes, so that engines answer, and not what was kept of an answer before."""
    picture = marked(question.picture, next(_marks))
    if question.region is None:
        return await client.recognize(picture, top_k=5, timeout_s=DEADLINE_S)
    return await client.search_region(picture, question.region, top_k=5, timeout_s=DEADLINE_S)


def mixes_spaces(answer: Recognition | RegionSearch) -> bool:
    """Whether an embedder of one space answered a search in a collection of another.

    A collection is called ALIAS__SPACE, perhaps with a number behind it.
    """
    spaces = {engine.model.removesuffix(_CANDIDATE_SUFFIX) for engine in answer.served.engines}
    searched = {collection.split("__")[1] for collection in answer.served.collections}
    return not searched <= spaces


def fault(question: Question, answer: Recognition | RegionSearch) -> str:
    """What is wrong with an answer; nothing where the right product came first for one of the objects."""
    groups = [answer.matches] if isinstance(answer, RegionSearch) else [found.matches for found in answer.objects]
    first = [matches[0].id for matches in groups if matches]
    return "" if question.product in first else f"{first} instead of {question.product}"


def saturated_rate(address: str, asked: Sequence[Question], seconds: float) -> float:
    """Answers per second that callers who never pause get."""
    return asyncio.run(_saturate(address, asked, seconds))


async def _saturate(address: str, asked: Sequence[Question], seconds: float) -> float:
    async with AsyncClient(address, retries=NO_RETRIES) as client:

        async def one(question: Question) -> Answer:
            await ask(client, question)
            return Answer()

        return len(await saturate(asked, one, _SATURATING_CALLERS, seconds)) / seconds


def _since(scheduled: float) -> float:
    return (time.monotonic() - scheduled) * 1e3
