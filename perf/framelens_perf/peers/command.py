"""`framelens-perf peers`."""

import os
from pathlib import Path

import click
from rich.console import Console

from framelens_perf.peers.definitions import PEERS
from framelens_perf.peers.failures import AskFailed, PeerFailure
from framelens_perf.peers.measurement import Plan
from framelens_perf.peers.run import PeerPaths, report_peers, run_peers

_EXISTING = click.Path(path_type=Path, exists=True)
_ANY = click.Path(path_type=Path)
_DEFAULT = Plan()
_NAMES = [peer.package for peer in PEERS]


@click.command()
@click.option("--peer", "names", type=click.Choice(_NAMES), multiple=True, help="Only these; all by default.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the peer's file.")
@click.option("--callers", type=click.IntRange(1), default=4 * (os.cpu_count() or 1), show_default=True)
@click.option("--seconds", type=click.FloatRange(1), default=_DEFAULT.try_s, show_default=True, help="Of one run.")
@click.option("--p99-ms", type=click.FloatRange(1), default=_DEFAULT.p99_bound_ms, show_default=True)
@click.option("--model-repository", type=_EXISTING, default=Path("model_repository"), show_default=True)
@click.option("--pictures", type=_EXISTING, default=Path("var/samples"), show_default=True)
@click.option("--out", type=_ANY, default=Path("var/peers"), show_default=True)
@click.option("--environment", type=_ANY, default=Path(".venv/peers"), show_default=True)
def peers(
    names: tuple[str, ...],
    settings: tuple[str, ...],
    callers: int,
    seconds: float,
    p99_ms: float,
    model_repository: Path,
    pictures: Path,
    out: Path,
    environment: Path,
) -> None:
    """Measure what people would otherwise serve the same models with: FastAPI, LitServe, BentoML."""
    plan = Plan(callers=callers, saturate_s=seconds, try_s=seconds, p99_bound_ms=p99_ms)
    chosen = [peer for peer in PEERS if not names or peer.package in names]
    paths = PeerPaths(model_repository, pictures, out, environment)
    console = Console()
    try:
        results = run_peers(paths, chosen, plan, _settings(settings), console)
    except (PeerFailure, AskFailed) as error:
        raise click.ClickException(str(error)) from error
    report_peers(results, plan, out / "report.json", console)


def _settings(given: tuple[str, ...]) -> dict[str, str]:
    """Raises click.BadParameter."""
    pairs = [each.partition("=") for each in given]
    if any(not sign for _, sign, _ in pairs):
        raise click.BadParameter("write NAME=VALUE, such as WORKERS=1", param_hint="--set")
    return {name.upper(): value for name, _, value in pairs}
