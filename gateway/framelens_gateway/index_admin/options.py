"""Options that several commands share, the global ones among them."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., None]

ALIAS = click.argument("alias", default="products")
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")


def pass_settings(command: Command) -> Command:
    """The command gets `settings`, read when it is called: help and wrong usage need none."""

    def with_settings(told: dict[str, Any], /, **options: Any) -> None:  # noqa: ANN401
        from framelens_gateway.index_admin.connection import admin_settings

        try:
            settings = admin_settings(told, Path.cwd())
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        command(settings, **options)

    return click.pass_obj(functools.wraps(command)(with_settings))


def print_result(as_json: bool, result: dict[str, Any], text: str) -> None:
    click.echo(json.dumps(result, indent=2) if as_json else text)
