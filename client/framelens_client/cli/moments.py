"""`framelens moments`."""

import json

import click

from framelens_client.cli.gateway import Gateway
from framelens_client.cli.tables import console
from framelens_client.cli.video_tables import moments_report
from framelens_client.messages import as_json


@click.command()
@click.argument("video_id", metavar="VIDEO_ID")
@click.option("--json", "as_line", is_flag=True, help="Print the contract's answer as one line of JSON.")
@click.pass_obj
def moments(gateway: Gateway, video_id: str, as_line: bool) -> None:
    """Says when recognition should be offered in a video, and of what."""
    with gateway.client() as client:
        found = client.moments(video_id)
    if as_line:
        click.echo(json.dumps(as_json(found), ensure_ascii=False))
    else:
        console().print(moments_report(found))
