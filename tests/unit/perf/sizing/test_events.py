"""Queues whose mean waits are known come out as the formulas have them."""

import math
import random
import statistics
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from framelens_perf.sizing.events import Cores, Process, Simulation, Station, start

CUSTOMERS = 30_000
SERVICE_MS = 10.0


def mean_sojourn_ms(load: float, servers: int, service_ms: Callable[[random.Random], float], shared: bool) -> float:
    """Of Poisson arrivals at a station, or, where the servers are shared, at cores that all work on all at once."""
    draw = random.Random(1)
    simulation = Simulation()
    cores = Cores(simulation, servers)
    sojourns: list[float] = []

    def serve(batch: Sequence[float]) -> Process:
        yield cores.work(batch[0])

    station = Station(serve, servers)

    def customer(ms: float) -> Process:
        came = simulation.now
        yield cores.work(ms) if shared else station.ask(ms)
        sojourns.append(simulation.now - came)

    at = 0.0
    for _ in range(CUSTOMERS):
        at += draw.expovariate(load * servers / SERVICE_MS)
        simulation.at(at, partial(start, customer(service_ms(draw)), lambda: None))
    simulation.run()
    return statistics.fmean(sojourns)


def erlang_c(servers: int, load: float) -> float:
    """The share of customers who wait in M/M/c."""
    offered = servers * load
    waiting = offered**servers / math.factorial(servers) / (1 - load)
    return waiting / (waiting + sum(offered**n / math.factorial(n) for n in range(servers)))


@pytest.mark.parametrize("load", [0.3, 0.6])
def test_one_server_with_equal_services(load: float) -> None:
    """M/D/1, Pollaczek and Khinchine."""
    wait = mean_sojourn_ms(load, 1, lambda _: SERVICE_MS, shared=False) - SERVICE_MS
    assert wait == pytest.approx(SERVICE_MS * load / (2 * (1 - load)), rel=0.05)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (2, 0.6), (4, 0.7)])
def test_several_servers_with_exponential_services(servers: int, load: float) -> None:
    """M/M/c, Erlang C."""
    sojourn = mean_sojourn_ms(load, servers, lambda draw: draw.expovariate(1 / SERVICE_MS), shared=False)
    wait = erlang_c(servers, load) * SERVICE_MS / (servers * (1 - load))
    assert sojourn == pytest.approx(SERVICE_MS + wait, rel=0.05)


def test_a_core_that_all_share() -> None:
    """M/G/1 with processor sharing: the mean depends on the load alone, whatever the services."""
    sojourn = mean_sojourn_ms(0.5, 1, lambda draw: draw.choice([5.0, 15.0]), shared=True)
    assert sojourn == pytest.approx(SERVICE_MS / 0.5, rel=0.05)


def ends_ms(cores: Cores, simulation: Simulation, pieces: Sequence[tuple[float, float]]) -> list[float]:
    ends: list[float] = []
    for ms, threads in pieces:
        cores.work(ms, threads)(lambda: ends.append(simulation.now))
    simulation.run()
    return ends


def test_threads_make_work_shorter_while_there_are_cores() -> None:
    simulation = Simulation()
    assert ends_ms(Cores(simulation, 4), simulation, [(30, 3), (20, 1)]) == pytest.approx([10, 20])


def test_threads_share_cores_that_are_too_few() -> None:
    """Two threads get two of three parts of two cores; once they have ended, one core is left idle."""
    simulation = Simulation()
    assert ends_ms(Cores(simulation, 2), simulation, [(20, 2), (20, 1)]) == pytest.approx([15, 25])


def test_cores_are_slower_while_all_work() -> None:
    simulation = Simulation()
    cores = Cores(simulation, 2, all_busy=0.5, together=2)
    assert ends_ms(cores, simulation, [(10, 1), (20, 1)]) == pytest.approx([20, 30])


def test_what_waits_goes_together() -> None:
    simulation = Simulation()
    batches: list[list[str]] = []

    def serve(batch: Sequence[str]) -> Process:
        batches.append(list(batch))
        yield simulation.delay(5)

    station = Station(serve, servers=1, most=3)
    for name, weight in (("a", 1), ("b", 1), ("c", 2), ("d", 1), ("e", 9)):
        station.ask(name, weight)(lambda: None)
    simulation.run()
    assert batches == [["a"], ["b", "c"], ["d"], ["e"]]
    assert simulation.now == 20
