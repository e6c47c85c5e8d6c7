"""`framelens-perf load-samples`: the sample catalogue and videos into a stack that runs or is about to."""

import os
import time
from pathlib import Path

import click

from framelens_client import NO_RETRIES, Client, FrameLensError, Unreachable
from framelens_perf.demo import import_catalogue
from framelens_perf.sample_videos import index_sample_videos
from framelens_perf.stack import Addresses, StackFailure, read_addresses

_WAIT_S = 300
_LOOK_EVERY_S = 0.5


@click.command("load-samples")
@click.option("--var-dir", type=click.Path(path_type=Path), default=Path("var"), show_default=True)
@click.option("--samples", type=click.Path(path_type=Path), default=Path("var/samples"), show_default=True)
def load_samples(var_dir: Path, samples: Path) -> None:
    """Load the sample catalogue and videos into the stack of VAR_DIR; what is there already is left alone."""
    try:
        addresses = _served(var_dir)
        import_catalogue(addresses, samples, var_dir)
        with Client(addresses.grpc) as client:
            for indexed in index_sample_videos(client, samples):
                click.echo(f"video {indexed.video.id} has {len(indexed.moments.moments)} moments")
    except (StackFailure, FrameLensError) as error:
        raise click.ClickException(str(error)) from error


def _served(var_dir: Path) -> Addresses:
    """Raises StackFailure."""
    serve_file, starter = var_dir / "serve.json", os.getppid()
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        if serve_file.is_file() and _answers(addresses := read_addresses(serve_file)):
            return addresses
        if os.getppid() != starter:
            raise StackFailure("the stack that samples were to be loaded into has gone")
        time.sleep(_LOOK_EVERY_S)
    raise StackFailure(f"no stack has come up in {_WAIT_S} s, as {serve_file} would say")


def _answers(addresses: Addresses) -> bool:
    """A stack that was killed leaves its file behind."""
    with Client(addresses.grpc, retries=NO_RETRIES) as client:
        try:
            client.health()
        except Unreachable:
            return False
    return True
