"""The page shows what was measured and needs nothing else."""

import re
from dataclasses import replace
from typing import Any

import pytest

from framelens_perf.critical_path.bars import Bars, BestPeer, Overload
from framelens_perf.critical_path.limit import LIMIT_STAGES
from framelens_perf.critical_path.page import page
from framelens_perf.critical_path.waterfall import SEGMENTS


@pytest.fixture
def bars() -> Bars:
    return Bars(
        slo_ms=150.0,
        recognizer_over_limit=1.02,
        saturated_over_limit=0.8,
        gateway_added_ms=3.0,
        overload=Overload(0.95, 140.0, 2.5),
        best_peer=BestPeer("LitServe", 20.0, 32.0),
        hot_over_uncached=7.5,
    )


@pytest.fixture
def report(bars: Bars) -> dict[str, Any]:
    point = {
        "rate": 10.0,
        "latency_ms": {"p50": 40.0, "p95": 80.0, "p99": 120.0},
        "latencies_ms": [20.0, 40.0, 120.0],
        "waterfall_p50_ms": dict.fromkeys(SEGMENTS, 3.0),
        "waterfall_p99_ms": dict.fromkeys(SEGMENTS, 9.0),
        "triton": {"detector": {"mean_batch": 1.5, "queue_ms": 1.0, "compute_ms": 20.0}},
    }
    return {
        "time": "2026-01-01",
        "machine": {"processor": "<CPU & co>", "cores": 2, "memory_gib": 24, "system": "Debian"},
        "precision": "int8",
        "products": 1000,
        "bars": bars.to_json(),
        "alone": {"stages_ms": dict.fromkeys((*LIMIT_STAGES, "queue"), 5.0)},
        "saturated": {"one_core_stages_ms": dict.fromkeys(LIMIT_STAGES, 4.0)},
        "curve": [{**point, "share": share} for share in (0.3, 0.5, 0.7)],
        "peers": [
            {"name": "FrameLens", "measured": {"sustained": 32.0}},
            {"name": "LitServe", "measured": {"sustained": 20.0}},
        ],
    }


def test_it_shows_the_bars_the_stages_and_the_plots(report: dict[str, Any], bars: Bars) -> None:
    html = page(report, bars.lines())
    assert html.count("<svg") == html.count("</svg>") == 4
    assert (html.count('class="kept"'), html.count('class="missed"')) == (6, 2)
    assert "&lt;CPU &amp; co&gt;" in html
    assert '<td class="number">1.25</td>' in html


def test_nothing_is_loaded_from_elsewhere(report: dict[str, Any], bars: Bars) -> None:
    html = page(report, bars.lines())
    assert not re.findall(r'(?:src|href)="(?!#)[^"]+"', html.replace("xlink:href", "href"))
    assert "@import" not in html


def test_without_peers_there_is_no_plot_of_them(report: dict[str, Any], bars: Bars) -> None:
    assert page(report | {"peers": []}, bars.lines()).count("<svg") == 3


def test_bars_that_were_not_measured_are_not_missed(bars: Bars) -> None:
    lines = {line.what: line for line in bars.lines()}
    assert [line.kept for line in lines.values()] == [True, False, False, True, True, True, True, True]
    assert bars.to_json()["best_peer"]["ratio"] == pytest.approx(1.6)


def test_peers_that_keep_the_bound_at_no_rate_have_no_ratio(bars: Bars) -> None:
    slow = replace(bars, best_peer=BestPeer("LitServe", 0.0, 5.0))
    assert slow.to_json()["best_peer"]["ratio"] is None
    assert all(line.value is None for line in slow.lines() if "LitServe" in line.what)
