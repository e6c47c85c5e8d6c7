"""`framelens-perf analyze`: perf_analyzer against a Triton, by scenario files."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from framelens_perf.analyzer.errors import AnalyzerError, RunError
from framelens_perf.analyzer.install import glibc_version, install, release_for
from framelens_perf.analyzer.results import ScenarioResult
from framelens_perf.analyzer.run import Bench, report, run_scenarios
from framelens_perf.analyzer.runner import FULL, QUICK
from framelens_perf.analyzer.scenario import Scenario, load, packaged, scenario_path
from framelens_perf.analyzer.table import print_results
from framelens_perf.stack import SERVE_FILE, StackFailure, embedded_stack, read_addresses

_TABLE_WIDTH = 120
_CACHE = Path("var/cache/perf_analyzer")
_FOLDER = click.Path(path_type=Path, file_okay=False)
_EXISTING = click.Path(path_type=Path, exists=True)


@click.command(epilog=f"Scenarios: {', '.join(packaged())}; all of them when none is named.")
@click.argument("scenarios", metavar="[SCENARIO|FILE.yaml]...", nargs=-1)
@click.option("--triton", metavar="HOST:PORT", help="Triton's gRPC. [default: var/serve.json, or a stack of its own]")
@click.option("--out", type=_FOLDER, default=Path("var/analyze"), show_default=True, help="Takes report.json.")
@click.option("--quick", is_flag=True, help="Short windows: to see that it works, not to compare.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--pictures", type=_EXISTING, default=Path("var/samples"), show_default=True)
@click.option("--model-repository", type=_FOLDER, default=Path("model_repository"), show_default=True)
@click.option("--stack-command", type=click.Path(path_type=Path), default=Path(".venv/gateway/bin/framelens-stack"))
def analyze(
    scenarios: tuple[str, ...],
    triton: str | None,
    out: Path,
    quick: bool,
    as_json: bool,
    pictures: Path,
    model_repository: Path,
    stack_command: Path,
) -> None:
    """Measure models with NVIDIA's perf_analyzer: callers at once, Poisson rates, the rate that keeps an SLO.

    Exits with status 1 where a measurement could not be trusted.
    """
    try:
        asked = _loaded(scenarios or packaged())
        program = install(release_for(glibc_version()), _CACHE, _say)
        with _triton(triton, stack_command, out, model_repository) as address:
            bench = Bench(program, address, pictures, out, QUICK if quick else FULL)
            results = run_scenarios(asked, bench, _say)
    except (AnalyzerError, StackFailure, OSError) as error:
        raise click.ClickException(str(error)) from error
    _show(results, bench, as_json)
    sys.exit(0 if all(result.trusted for result in results) else 1)


def _loaded(names: Sequence[str]) -> dict[str, Scenario]:
    """All are read before the first is run. Raises ScenarioError."""
    paths = [scenario_path(name) for name in names]
    return {path.stem: load(path) for path in paths}


@contextmanager
def _triton(told: str | None, stack_command: Path, out: Path, model_repository: Path) -> Iterator[str]:
    """What is told, then the stack that runs here, then one started for this. Raises StackFailure."""
    if address := told or _served():
        yield address
        return
    _say("starting Triton, Milvus and the gateway on loopback")
    with embedded_stack(stack_command, out / "stack", model_repository) as addresses:
        yield addresses.triton_grpc
        _say("stopping the stack")


def _served() -> str | None:
    """Of the stack of this folder, or of one above it."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        path = folder / "var" / SERVE_FILE
        if path.is_file():
            return _triton_address(path)
    return None


def _triton_address(serve_file: Path) -> str:
    try:
        return read_addresses(serve_file).triton_grpc
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{serve_file} does not say where Triton is; pass --triton HOST:PORT") from error


def _show(results: list[ScenarioResult], bench: Bench, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report(results, bench), indent=2))
        return
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    print_results(results, console)
    console.print(f"report.json and what perf_analyzer said are in {bench.out}")


def _say(message: str) -> None:
    """Progress stays out of what --json prints."""
    click.echo(message, err=True)
