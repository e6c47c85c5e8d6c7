"""Commands that look at versions: list, show, diff."""

import json

import click

from framelens_engines.cli.options import JSON, store_options
from framelens_engines.cli.output import (
    console,
    difference_table,
    differences,
    say_version,
    version_json,
    version_table,
)
from framelens_engines.store import EngineStore


@click.command(name="list")
@click.argument("model", required=False)
@store_options
@JSON
def list_versions(model: str | None, store: EngineStore, *, as_json: bool) -> None:
    """List the engine versions, published and staged."""
    versions = [version for each in ([model] if model else store.models()) for version in store.versions(each)]
    if as_json:
        click.echo(json.dumps([version_json(store, version) for version in versions], indent=2))
    else:
        console().print(version_table(store, versions))


@click.command()
@click.argument("version")
@store_options
@JSON
def show(version: str, store: EngineStore, *, as_json: bool) -> None:
    """Show all that is known of VERSION."""
    chosen = store.get(version)
    if as_json:
        say_version(store, chosen, as_json=True)
        return
    say_version(store, chosen, as_json=False)
    console().print_json(json.dumps(version_json(store, chosen)))


@click.command()
@click.argument("first")
@click.argument("second")
@store_options
@JSON
def diff(first: str, second: str, store: EngineStore, *, as_json: bool) -> None:
    """Show in what two versions differ."""
    table = differences(version_json(store, store.get(first)), version_json(store, store.get(second)))
    if as_json:
        click.echo(json.dumps({name: list(values) for name, values in table.items()}, indent=2))
    else:
        console().print(difference_table(first, second, table))
