"""Commands that change what Triton serves: candidate, publish, rollback, retire, gc."""

import json

import click

from framelens_engines.candidate_model import drop_candidate, drop_recognizer, load_candidate, load_recognizer
from framelens_engines.cli.options import JSON, store_options
from framelens_engines.cli.server_options import connected, server_options
from framelens_engines.housekeeping import collect_garbage
from framelens_engines.housekeeping import retire as retire_version
from framelens_engines.memory import expect_memory
from framelens_engines.progress import Reporter
from framelens_engines.repository import candidate_name
from framelens_engines.server import ServerAddress
from framelens_engines.store import EngineStore
from framelens_engines.swap import Swap


@click.command()
@click.argument("version")
@click.option("--drop", is_flag=True, help="Unload the candidate of this model; VERSION may be the model alone.")
@store_options
@server_options
@JSON
def candidate(version: str, store: EngineStore, addresses: list[ServerAddress], *, drop: bool, as_json: bool) -> None:
    """Load VERSION beside the serving one, for `framelens trial`; callers do not meet it."""
    reporter = Reporter(quiet=as_json)
    model = version.partition("/")[0]
    with connected(addresses) as servers, store.changing():
        if drop:
            drop_candidate(store, model, servers)
            drop_recognizer(store, servers)
        else:
            chosen = store.get(version)
            for server in servers:
                reporter.say(expect_memory(server, chosen))
            load_candidate(store, chosen, servers, reporter)
            load_recognizer(store, servers, reporter)
    answer = {"candidate": candidate_name(model), "version": store.candidate(model)}
    click.echo(json.dumps(answer) if as_json else _sentence(answer))


def _sentence(answer: dict[str, str | int | None]) -> str:
    if answer["version"] is None:
        return f"{answer['candidate']} is gone"
    return f"{answer['candidate']} is version {answer['version']}"


@click.command()
@click.argument("version")
@store_options
@server_options
@JSON
def publish(version: str, store: EngineStore, addresses: list[ServerAddress], *, as_json: bool) -> None:
    """Make a validated VERSION what callers get."""
    with connected(addresses) as servers:
        swap = Swap(store, servers, Reporter(quiet=as_json))
        published = swap.publish(version)
        _say_states(swap, published.model, as_json=as_json)


@click.command()
@click.argument("model")
@store_options
@server_options
@JSON
def rollback(model: str, store: EngineStore, addresses: list[ServerAddress], *, as_json: bool) -> None:
    """Make the version before the serving one what callers get."""
    with connected(addresses) as servers:
        swap = Swap(store, servers, Reporter(quiet=as_json))
        swap.rollback(model)
        _say_states(swap, model, as_json=as_json)


def _say_states(swap: Swap, model: str, *, as_json: bool) -> None:
    states = swap.states(model)
    if as_json:
        click.echo(json.dumps({state.server: state.serving for state in states}))
    for state in () if as_json else states:
        click.echo(f"{state.server} serves {state.error or f'{model}/{state.serving}'}")


@click.command()
@click.argument("version")
@click.option("--way-back", is_flag=True, help="Even if it is the way back from what serves.")
@store_options
@server_options
@JSON
def retire(version: str, store: EngineStore, addresses: list[ServerAddress], *, way_back: bool, as_json: bool) -> None:
    """Take a published VERSION that does not serve out of the model repository."""
    with connected(addresses) as servers:
        serving = [server.serving(version.partition("/")[0]) for server in servers]
        retired = retire_version(store, version, serving, way_back_too=way_back)
    click.echo(json.dumps({"retired": retired.name}) if as_json else f"{retired.name} is staged again")


@click.command()
@click.argument("model")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted.")
@store_options
@server_options
@JSON
def gc(model: str, store: EngineStore, addresses: list[ServerAddress], *, dry_run: bool, as_json: bool) -> None:
    """Delete versions of MODEL that nothing needs: never what serves, nor the way back."""
    with connected(addresses) as servers:
        serving = [server.serving(model) for server in servers]
        removed = collect_garbage(store, model, serving, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(removed))
        return
    for name, state in removed.items():
        click.echo(f"{name} ({state}) {'would be' if dry_run else 'is'} deleted")
    if not removed:
        click.echo(f"nothing of {model} can be deleted")
