"""The command `framelens-engines`."""

import sys

import click

from framelens_engines.cli.build_commands import build, defaults, samples, space
from framelens_engines.cli.import_command import import_command
from framelens_engines.cli.swap_commands import candidate, gc, publish, retire, rollback
from framelens_engines.cli.version_commands import diff, list_versions, show, validate_version
from framelens_engines.errors import EngineError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Builds engines, proves them, and changes what Triton serves.

    An engine version is called MODEL/NUMBER, such as detector/2.
    """


for command in (
    defaults,
    samples,
    build,
    import_command,
    space,
    validate_version,
    list_versions,
    show,
    diff,
    candidate,
    publish,
    rollback,
    retire,
    gc,
):
    cli.add_command(command)


def main() -> None:
    try:
        cli()
    except EngineError as error:
        click.echo(f"framelens-engines: {error}", err=True)
        sys.exit(1)
