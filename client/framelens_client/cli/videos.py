"""`framelens videos`: index, list, show, delete."""

import click

from framelens_client.cli.gateway import Gateway
from framelens_client.cli.index_command import index_command
from framelens_client.cli.listing import AS_LINE, LIMIT, page_size, print_first, print_one
from framelens_client.cli.video_tables import video_report, videos_table


@click.group()
def videos() -> None:
    """Looks after the videos."""


videos.add_command(index_command)


@videos.command(name="list")
@click.option("--json", "as_lines", is_flag=True, help="Print one line of JSON per video.")
@click.option("--account", default="", help="Of this account alone.")
@LIMIT
@click.pass_obj
def list_command(gateway: Gateway, as_lines: bool, account: str, limit: int) -> None:
    """Lists videos in the order of their ids."""
    with gateway.client() as client:
        found = client.all_videos(account=account, page_size=page_size(limit))
        print_first(found, limit, as_lines, videos_table, "no videos")


@videos.command()
@click.argument("video_id", metavar="ID")
@AS_LINE
@click.pass_obj
def show(gateway: Gateway, video_id: str, as_line: bool) -> None:
    """Shows what is stored of one video."""
    with gateway.client() as client:
        stored = client.video(video_id)
    print_one(stored, as_line, video_report)


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
