"""`framelens trial`."""

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from google.protobuf.json_format import ParseDict

from framelens_client.cli.command import framelens
from framelens_client.v1 import framelens_pb2 as pb


def test_start_sends_what_was_asked_for(gateway: Any, command: Callable[..., Any], canary_trial: pb.Trial) -> None:
    gateway.trial = canary_trial
    bounds = "--max-error-rate 0.01 --max-p99-ratio 1.5 --max-p99-ms 90 --min-requests 50 --window 200"
    done = command("trial", "start", "--canary", 0.1, "--engine", "detector__candidate", *bounds.split())
    assert done.exit_code == 0, done.output
    assert gateway.calls[0].request == pb.StartTrialRequest(
        kind="canary",
        share=0.1,
        engine="detector__candidate",
        bounds=pb.Bounds(max_error_rate=0.01, max_p99_ratio=1.5, max_p99_ms=90, min_requests=50, window=200),
    )
    assert f"{gateway.address}  canary of detector__candidate, share 0.1: running" in done.stdout


def test_a_shadow_of_a_space_has_no_bounds(gateway: Any, command: Callable[..., Any], shadow_trial: pb.Trial) -> None:
    gateway.trial = shadow_trial
    assert command("trial", "start", "--shadow", 0.5, "--space", "next").exit_code == 0
    assert gateway.calls[0].request == pb.StartTrialRequest(kind="shadow", share=0.5, space="next")


@pytest.mark.parametrize(
    "arguments",
    [
        "--canary 0.1",
        "--canary 0.1 --engine a --space next",
        "--canary 0.1 --shadow 0.1 --engine a",
        "--engine a",
        "--canary 0 --engine a",
        "--canary 1.1 --engine a",
    ],
)
def test_wrong_usage_reaches_no_gateway(gateway: Any, command: Callable[..., Any], arguments: str) -> None:
    assert command("trial", "start", *arguments.split()).exit_code == 2
    assert gateway.calls == []


def test_status_of_a_canary(gateway: Any, command: Callable[..., Any], canary_trial: pb.Trial) -> None:
    gateway.trial = canary_trial
    shown = command("trial", "status").stdout
    served = ("120 served by the candidate", "3 whose deadlines")
    for text in (*served, "note: a note", "0.0164", "control + 0.02", "80.5", "error: it broke"):
        assert text in shown


def test_status_of_a_shadow(gateway: Any, command: Callable[..., Any], shadow_trial: pb.Trial) -> None:
    gateway.trial = shadow_trial
    shown = command("trial", "status").stdout
    for text in ("stopped after 20 s", "why: by command", "40 compared", "F1 0.959", "45 of 47", "only live: cup"):
        assert text in shown


def test_status_of_none(gateway: Any, command: Callable[..., Any]) -> None:
    gateway.trial = pb.Trial(state="none")
    assert command("trial", "status").stdout == f"{gateway.address}  no trial\n"


def test_json(gateway: Any, command: Callable[..., Any], shadow_trial: pb.Trial) -> None:
    gateway.trial = shadow_trial
    (line,) = command("trial", "stop", "--json").stdout.splitlines()
    shown = json.loads(line)
    assert shown.pop("address") == gateway.address
    assert ParseDict(shown, pb.Trial()).shadow.agreed_top1 == 45


def test_every_gateway_is_told_though_one_fails(
    gateway: Any, make_gateway: Callable[..., Any], start: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    other, third = make_gateway(), make_gateway()
    for fake in (other, third):
        start(fake)
        fake.trial = pb.Trial(state="none")
    other.failures += [fail(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "no alias products__next")]
    addresses = f"{gateway.address}, {other.address},{third.address}"
    arguments = ["--address", addresses, "trial", "start", "--canary", "0.1", "--space", "next"]
    done = CliRunner().invoke(framelens, arguments)
    assert done.exit_code == 1
    assert f"{other.address}: NOT_FOUND: no alias products__next" in done.stderr
    assert "1 of 3 gateways failed" in done.stderr
    assert [call.method for fake in (gateway, other, third) for call in fake.calls] == ["StartTrial"] * 3
