"""`framelens trial`."""

import json
from collections.abc import Callable
from functools import partial

import click
from rich.console import RenderableType

from framelens_client.cli.gateway import Gateway
from framelens_client.cli.tables import console
from framelens_client.cli.trial_tables import trial_facts, trial_report
from framelens_client.client import Client
from framelens_client.errors import FrameLensError
from framelens_client.messages import as_json
from framelens_client.trials import Bounds, Trial

_SHARE = click.FloatRange(min=0, max=1, min_open=True)
_JSON = click.option("--json", "as_lines", is_flag=True, help="Print one line of JSON for each gateway.")


@click.group()
def trial() -> None:
    """Tries an engine or a space on live requests before they are switched to it.

    Each command acts on every gateway of `--address A,B`; a gateway that restarts has no trial.
    """


@trial.command()
@click.option("--shadow", type=_SHARE, metavar="SHARE", help="Also ask the candidate this share of requests; compare.")
@click.option("--canary", type=_SHARE, metavar="SHARE", help="Let the candidate serve this share of requests.")
@click.option("--engine", metavar="MODEL", help="Candidate: a model beside the live one, such as detector__candidate.")
@click.option("--space", metavar="next", help="Candidate: the collection behind products__next, and its embedder.")
@click.option("--max-error-rate", type=float, help="Bound: errors above the control group's rate. [default: 0.02]")
@click.option("--max-p99-ratio", type=float, help="Bound: p99 as a multiple of the control group's. [default: 2]")
@click.option("--max-p99-ms", type=float, help="Bound: p99 in milliseconds. [default: none]")
@click.option("--min-requests", type=int, help="Bounds are shares of at least so many requests. [default: 100]")
@click.option("--window", type=int, help="Requests that bounds are judged by, 1 to 2000. [default: 500]")
@_JSON
@click.pass_obj
def start(
    gateway: Gateway,
    shadow: float | None,
    canary: float | None,
    engine: str | None,
    space: str | None,
    max_error_rate: float | None,
    max_p99_ratio: float | None,
    max_p99_ms: float | None,
    min_requests: int | None,
    window: int | None,
    as_lines: bool,
) -> None:
    """Begins a trial, or changes the share and bounds of the one that is running."""
    kind, share = _kind(shadow, canary)
    if (engine is None) == (space is None):
        raise click.UsageError("give either --engine or --space")
    bounds = Bounds(max_error_rate, max_p99_ratio, max_p99_ms, min_requests, window)
    asked = None if bounds == Bounds() else bounds
    call = partial(Client.start_trial, kind=kind, share=share, engine=engine, space=space, bounds=asked)
    _on_each(gateway, call, as_lines, trial_facts)


@trial.command()
@_JSON
@click.pass_obj
def status(gateway: Gateway, as_lines: bool) -> None:
    """Reports on the trial that is running, or the last one."""
    _on_each(gateway, Client.trial, as_lines, trial_report)


@trial.command()
@_JSON
@click.pass_obj
def stop(gateway: Gateway, as_lines: bool) -> None:
    """Ends the trial at once; its report stays."""
    _on_each(gateway, Client.stop_trial, as_lines, trial_report)


def _kind(shadow: float | None, canary: float | None) -> tuple[str, float]:
    if shadow is not None and canary is None:
        return "shadow", shadow
    if canary is not None and shadow is None:
        return "canary", canary
    raise click.UsageError("give either --shadow SHARE or --canary SHARE")


def _on_each(
    gateway: Gateway,
    call: Callable[[Client], Trial],
    as_lines: bool,
    shown: Callable[[str, Trial], RenderableType],
) -> None:
    """One gateway after the other; one that fails does not keep the others from being told."""
    gateways = gateway.each()
    failed = 0
    for each in gateways:
        address = each.target().address
        try:
            with each.client() as client:
                found = call(client)
        except FrameLensError as error:
            if len(gateways) == 1:
                raise
            failed += 1
            click.echo(f"{address}: {error.reason}: {error.message}", err=True)
            continue
        if as_lines:
            click.echo(json.dumps({"address": address, **as_json(found)}, ensure_ascii=False))
        else:
            console().print(shown(address, found))
    if failed:
        raise click.ClickException(f"{failed} of {len(gateways)} gateways failed")
