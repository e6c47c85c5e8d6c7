"""What commands print about versions."""

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from framelens_engines.housekeeping import state_of
from framelens_engines.repository import EngineVersion
from framelens_engines.store import EngineStore

# A table that goes into a pipe is not cut to the 80 columns that Rich assumes there.
_PIPE_COLUMNS = 200


def console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def version_json(store: EngineStore, version: EngineVersion) -> dict[str, Any]:
    """engine.json, with the version's number and what it is to its model."""
    state = state_of(store, version)
    return {"version": version.version, "state": state.value, **version.record.model_dump(mode="json")}


def say_version(store: EngineStore, version: EngineVersion, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(version_json(store, version), indent=2))
    else:
        click.echo(f"{version.name} is {state_of(store, version)}")


def version_table(store: EngineStore, versions: list[EngineVersion]) -> Table:
    table = Table("version", "state", "precision", "target", "memory", "source", "build", "created")
    for version in versions:
        record = version.record
        origin = f"{record.source.package} {record.source.version}" if record.source.package else record.source.file
        memory = f"{record.memory_mib:.0f} MiB" if record.memory_mib is not None else ""
        created = f"{record.created:%Y-%m-%d %H:%M}"
        state = state_of(store, version).value
        table.add_row(version.name, state, record.precision, record.target, memory, origin, str(record.build), created)
    return table


def differences(first: dict[str, Any], second: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Where two records differ, by dotted name; lists count as one value."""
    ours, theirs = _flat(first), _flat(second)
    names = [*ours, *(name for name in theirs if name not in ours)]
    return {name: (ours.get(name), theirs.get(name)) for name in names if ours.get(name) != theirs.get(name)}


def difference_table(first: str, second: str, found: dict[str, tuple[Any, Any]]) -> Table:
    table = Table("", first, second)
    for name, values in found.items():
        table.add_row(name, *(_shown(value) for value in values))
    return table


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _shown(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, list):
        return f"{len(value)} entries"
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
