"""`framelens products update`."""

from collections.abc import Sequence
from pathlib import Path

import click

from framelens_client.catalogue.rows import Rejection
from framelens_client.catalogue.updates import COLUMNS, UpdateRow, read_updates
from framelens_client.cli.gateway import Gateway
from framelens_client.cli.tables import console, printable
from framelens_client.client import Client
from framelens_client.results import ProductUpdate

_LARGEST_UPDATE = 500


@click.command(name="update")
@click.argument("product_id", metavar="[ID]", required=False)
@click.option("--title")
@click.option("--url")
@click.option("--merchant")
@click.option("--category")
@click.option("--price", type=float, help="Below 0 takes the price away.")
@click.option("--currency", help="ISO 4217, such as EUR.")
@click.option("--availability", help="in_stock, out_of_stock, preorder or backorder.")
@click.option("--boost", type=float, help="-0.2 to 0.2: added to its scores where a search asks for that.")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"Update many: CSV with id and some of {', '.join(COLUMNS[1:])}. A blank cell leaves a field as it is.",
)
@click.pass_context
def update_command(
    ctx: click.Context,
    product_id: str | None,
    title: str | None,
    url: str | None,
    merchant: str | None,
    category: str | None,
    price: float | None,
    currency: str | None,
    availability: str | None,
    boost: float | None,
    path: Path | None,
) -> None:
    """Changes what products say, such as their price, and leaves their pictures alone.

    Either the product ID, by options (an empty text clears a field), or every product of a file.
    """
    gateway: Gateway = ctx.obj
    update = ProductUpdate(product_id or "", title, url, merchant, category, price, currency, availability, boost)
    given = update != ProductUpdate(product_id or "")
    if path and (product_id or given):
        raise click.UsageError("--file updates the products that it names: leave out ID and the other options")
    if path:
        if not _update_file(gateway, path):
            ctx.exit(1)
        return
    if not product_id or not given:
        raise click.UsageError("name a product and what changes of it, such as --price 9.90, or a --file")
    with gateway.client() as client:
        (result,) = client.update_products([update])
    if result.error:
        raise click.ClickException(f"{result.error.reason}: {result.error.message}")
    click.echo(f"updated {product_id}")


def _update_file(gateway: Gateway, path: Path) -> bool:
    """Whether every row is stored."""
    content = read_updates(path)
    if content.unused_columns:
        click.echo(f"columns not used: {','.join(content.unused_columns)} (known: {','.join(COLUMNS)})", err=True)
    rejected = _report(content.rejections)
    with gateway.client() as client:
        for start in range(0, len(content.updates), _LARGEST_UPDATE):
            rejected += _report(_send(client, content.updates[start : start + _LARGEST_UPDATE]))
    read = len(content.updates) + len(content.rejections)
    click.echo(f"{read} rows read = {read - rejected} updated + {rejected} rejected")
    return not rejected


def _report(rejections: Sequence[Rejection]) -> int:
    """How many there are."""
    screen = console(stderr=True)
    for rejection in rejections:
        screen.print(printable(str(rejection)), soft_wrap=True)
    return len(rejections)


def _send(client: Client, rows: Sequence[UpdateRow]) -> list[Rejection]:
    results = client.update_products(row.update for row in rows)
    return [
        Rejection(row.line, row.update.id, result.error.reason, result.error.message)
        for row, result in zip(rows, results, strict=True)
        if result.error
    ]
