"""`framelens status`."""

import click

from framelens_client.cli.gateway import Gateway
from framelens_client.cli.tables import console, health_table


@click.command()
@click.pass_context
def status(ctx: click.Context) -> None:
    """Says whether the gateway answers and is ready; exits with 1 if it is not."""
    gateway: Gateway = ctx.obj
    with gateway.client() as client:
        health = client.health()
    console().print(health_table(gateway.target().address, health))
    if not health.ready:
        ctx.exit(1)
