"""`framelens videos`: index, list, show, delete."""

import json
from itertools import islice

import click

from framelens_client.cli.gateway import Gateway
from framelens_client.cli.index_command import index_command
from framelens_client.cli.tables import console
from framelens_client.cli.video_tables import video_report, videos_table
from framelens_client.messages import as_json

_LARGEST_PAGE = 1000


@click.group()
def videos() -> None:
    """Looks after the videos."""


videos.add_command(index_command)


@videos.command(name="list")
@click.option("--json", "as_lines", is_flag=True, help="Print one line of JSON per video.")
@click.option("--account", default="", help="Of this account alone.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most this many.")
@click.pass_obj
def list_command(gateway: Gateway, as_lines: bool, account: str, limit: int) -> None:
    """Lists videos in the order of their ids."""
    with gateway.client() as client:
        found = client.all_videos(account=account, page_size=min(limit + 1, _LARGEST_PAGE))
        shown = list(islice(found, limit))
        more = next(found, None) is not None
    if as_lines:
        for stored in shown:
            click.echo(json.dumps(as_json(stored), ensure_ascii=False))
    else:
        console().print(videos_table(shown) if shown else "no videos")
    if more:
        click.echo(f"only the first {limit} are shown: see --limit", err=True)


@videos.command()
@click.argument("video_id", metavar="ID")
@click.option("--json", "as_line", is_flag=True, help="Print the contract's answer as one line of JSON.")
@click.pass_obj
def show(gateway: Gateway, video_id: str, as_line: bool) -> None:
    """Shows what is stored of one video."""
    with gateway.client() as client:
        stored = client.video(video_id)
    if as_line:
        click.echo(json.dumps(as_json(stored), ensure_ascii=False))
    else:
        console().print(video_report(stored))


@videos.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def delete(gateway: Gateway, ids: tuple[str, ...]) -> None:
    """Deletes videos; exits with 1 if one was not stored."""
    missing: list[str] = []
    with gateway.client() as client:
        for video_id in ids:
            if client.delete_video(video_id):
                click.echo(f"deleted {video_id}")
            else:
                missing.append(video_id)
    if missing:
        raise click.ClickException(f"not stored: {', '.join(missing)}")
