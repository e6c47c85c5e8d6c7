"""`framelens products update` against a real gRPC server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from framelens_client.v1 import framelens_pb2 as pb


@pytest.fixture
def stored(gateway: Any) -> Any:
    for n in range(3):
        product = pb.Product(id=f"p{n}", title=f"Product {n}", price=n, currency="EUR")
        gateway.products[f"p{n}"] = pb.ProductUpsert(product=product, pictures=[pb.ReferencePicture(picture=b"x")])
    return gateway


@pytest.fixture
def update(command: Callable[..., Any], stored: Any) -> Callable[..., Any]:
    return lambda *options: command("products", "update", *options)


def sent(gateway: Any) -> list[pb.ProductUpdate]:
    return [each for call in gateway.calls if call.method == "UpdateProducts" for each in call.request.updates]


def test_one_product_by_options(update: Callable[..., Any], stored: Any) -> None:
    done = update("p1", "--price", "9.90", "--availability", "out_of_stock", "--boost", -0.1, "--title", "")
    assert (done.exit_code, done.stdout) == (0, "updated p1\n")
    expected = pb.ProductUpdate(id="p1", price=9.9, availability="out_of_stock", boost=-0.1, title="")
    assert sent(stored) == [expected]
    assert stored.products["p1"].product.currency == "EUR"


def test_a_product_that_is_not_there(update: Callable[..., Any]) -> None:
    done = update("nobody", "--price", 1)
    assert (done.exit_code, done.stderr) == (1, "Error: NOT_FOUND: it is not there\n")


@pytest.mark.parametrize(
    "options", [[], ["p1"], ["--price", "1"], ["p1", "--file", "{file}"], ["--file", "{file}", "--price", "1"]]
)
def test_what_is_said_wrong(update: Callable[..., Any], stored: Any, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "prices.csv").write_text("id,price\np1,1\n")
    done = update(*(option.format(file=tmp_path / "prices.csv") for option in options))
    assert done.exit_code == 2
    assert sent(stored) == []


def test_many_products_by_a_file(update: Callable[..., Any], stored: Any, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("id,price,availability,stock\np0,5,,1\np1,,in_stock,2\nnobody,3,,\np2,cheap,,\n")
    done = update("--file", path)
    assert (done.exit_code, done.stdout) == (1, "4 rows read = 2 updated + 2 rejected\n")
    assert done.stderr.splitlines() == [
        "columns not used: stock (known: id,title,url,merchant,category,currency,availability,price,boost)",
        "line 5: product \"p2\": price 'cheap' is not a number such as 19.90",
        'line 4: product "nobody": it is not there',
    ]
    assert sent(stored)[:2] == [pb.ProductUpdate(id="p0", price=5), pb.ProductUpdate(id="p1", availability="in_stock")]
    path.write_text("id,price\np0,6\n")
    done = update("--file", path)
    assert (done.exit_code, done.stdout) == (0, "1 rows read = 1 updated + 0 rejected\n")


def test_a_large_file_goes_in_several_calls(update: Callable[..., Any], stored: Any, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("id,price\n" + "".join(f"q{n},{n}\n" for n in range(1200)))
    done = update("--file", path)
    assert "1200 rows read = 0 updated + 1200 rejected" in done.stdout
    assert [len(call.request.updates) for call in stored.calls] == [500, 500, 200]


def test_a_call_that_fails_ends_it(update: Callable[..., Any], stored: Any, fail: Callable[..., Any]) -> None:
    stored.failures.append(fail(grpc.StatusCode.UNAVAILABLE, "MILVUS_UNAVAILABLE", "Milvus is away"))
    done = update("p1", "--price", 1)
    assert (done.exit_code, "MILVUS_UNAVAILABLE: Milvus is away" in done.stderr) == (1, True)


def test_availability_is_shown(command: Callable[..., Any], stored: Any) -> None:
    stored.products["p1"].product.availability = "preorder"
    stored.products["p1"].product.boost = 0.1
    assert "preorder" in command("products", "list").stdout
    shown = command("products", "get", "p1").stdout
    assert "preorder" in shown and "0.1" in shown and "0.10" not in shown
