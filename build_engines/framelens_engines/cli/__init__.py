"""The command `framelens-engines`."""

import sys

import click

from framelens_engines.cli.lazy_group import LazyGroup
from framelens_engines.errors import EngineError

_COMMANDS = {
    "build": "framelens_engines.cli.build_commands:build",
    "candidate": "framelens_engines.cli.swap_commands:candidate",
    "defaults": "framelens_engines.cli.build_commands:defaults",
    "diff": "framelens_engines.cli.version_commands:diff",
    "gc": "framelens_engines.cli.swap_commands:gc",
    "import": "framelens_engines.cli.import_command:import_command",
    "list": "framelens_engines.cli.version_commands:list_versions",
    "publish": "framelens_engines.cli.swap_commands:publish",
    "retire": "framelens_engines.cli.swap_commands:retire",
    "rollback": "framelens_engines.cli.swap_commands:rollback",
    "sample-videos": "framelens_engines.cli.build_commands:sample_videos",
    "samples": "framelens_engines.cli.build_commands:samples",
    "show": "framelens_engines.cli.version_commands:show",
    "space": "framelens_engines.cli.build_commands:space",
    "validate": "framelens_engines.cli.validate_command:validate_version",
}


@click.group(
    cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
def cli() -> None:
    """Builds engines, proves them, and changes what Triton serves.

    An engine version is called MODEL/NUMBER, such as detector/2.
    """


def main() -> None:
    try:
        cli()
    except EngineError as error:
        click.echo(f"framelens-engines: {error}", err=True)
        sys.exit(1)
