"""`framelens moments`."""

import click

from framelens_client.cli.gateway import Gateway
from framelens_client.cli.listing import AS_LINE, print_one
from framelens_client.cli.video_tables import moments_report


@click.command()
@click.argument("video_id", metavar="VIDEO_ID")
@AS_LINE
@click.pass_obj
def moments(gateway: Gateway, video_id: str, as_line: bool) -> None:
    """Says when recognition should be offered in a video, and of what."""
    with gateway.client() as client:
        found = client.moments(video_id)
    print_one(found, as_line, moments_report)
