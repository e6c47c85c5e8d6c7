"""`framelens products`: list, get, update, delete, import."""

import click

from framelens_client.cli.gateway import Gateway
from framelens_client.cli.import_command import import_command
from framelens_client.cli.listing import AS_LINE, LIMIT, page_size, print_first, print_one
from framelens_client.cli.search_options import filter_of, filter_options
from framelens_client.cli.tables import product_table, products_table
from framelens_client.cli.update_command import update_command

_LARGEST_DELETE = 1000


@click.group()
def products() -> None:
    """Looks after the catalogue."""


products.add_command(import_command)
products.add_command(update_command)


@products.command(name="list")
@click.option("--json", "as_lines", is_flag=True, help="Print one line of JSON per product.")
@LIMIT
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
    availabilities: tuple[str, ...],
) -> None:
    """Lists products in the order of their ids."""
    wanted = filter_of(categories, merchants, min_price, max_price, availabilities)
    with gateway.client() as client:
        found = client.all_products(filter=wanted, page_size=page_size(limit))
        print_first(found, limit, as_lines, products_table, "no products")


@products.command()
@click.argument("product_id", metavar="ID")
@AS_LINE
@click.pass_obj
def get(gateway: Gateway, product_id: str, as_line: bool) -> None:
    """Shows one product."""
    with gateway.client() as client:
        stored = client.get_product(product_id)
    print_one(stored, as_line, product_table)


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
