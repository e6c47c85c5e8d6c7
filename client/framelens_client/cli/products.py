"""`framelens products`: list, get, update, delete, import."""

import json
from itertools import islice

import click

from framelens_client.cli.gateway import Gateway
from framelens_client.cli.import_command import import_command
from framelens_client.cli.search_options import filter_of, filter_options
from framelens_client.cli.tables import console, product_table, products_table
from framelens_client.cli.update_command import update_command
from framelens_client.messages import as_json

_LARGEST_DELETE = 1000
_LARGEST_PAGE = 1000


@click.group()
def products() -> None:
    """Looks after the catalogue."""


products.add_command(import_command)
products.add_command(update_command)


@products.command(name="list")
@click.option("--json", "as_lines", is_flag=True, help="Print one line of JSON per product.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most this many.")
@filter_options
@click.pass_obj
def list_command(
    gateway: Gateway,
    as_lines: bool,
    limit: int,
    categories: tuple[str, ...],
    merchants: tuple[str, ...],
    min_price: float | None,
    max_price: float | None,
) -> None:
    """Lists products in the order of their ids."""
    wanted = filter_of(categories, merchants, min_price, max_price)
    with gateway.client() as client:
        found = client.all_products(filter=wanted, page_size=min(limit + 1, _LARGEST_PAGE))
        shown = list(islice(found, limit))
        more = next(found, None) is not None
    if as_lines:
        for stored in shown:
            click.echo(json.dumps(as_json(stored), ensure_ascii=False))
    else:
        console().print(products_table(shown) if shown else "no products")
    if more:
        click.echo(f"only the first {limit} are shown: see --limit", err=True)


@products.command()
@click.argument("product_id", metavar="ID")
@click.option("--json", "as_line", is_flag=True, help="Print the contract's answer as one line of JSON.")
@click.pass_obj
def get(gateway: Gateway, product_id: str, as_line: bool) -> None:
    """Shows one product."""
    with gateway.client() as client:
        stored = client.get_product(product_id)
    if as_line:
        click.echo(json.dumps(as_json(stored), ensure_ascii=False))
    else:
        console().print(product_table(stored))


@products.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def delete(gateway: Gateway, ids: tuple[str, ...]) -> None:
    """Deletes products; exits with 1 if one was not in the catalogue."""
    missing: list[str] = []
    with gateway.client() as client:
        for start in range(0, len(ids), _LARGEST_DELETE):
            deletion = client.delete_products(ids[start : start + _LARGEST_DELETE])
            missing += deletion.missing
            for product_id in deletion.deleted:
                click.echo(f"deleted {product_id}")
    if missing:
        raise click.ClickException(f"not in the catalogue: {', '.join(missing)}")
