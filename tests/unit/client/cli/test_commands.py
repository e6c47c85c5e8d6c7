# ruff: noqa: S105 (fakes come as fixtures, which have no importable type; tokens are no secrets)
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from google.protobuf.json_format import MessageToDict, ParseDict
from PIL import Image
from rich.console import Console

from framelens_client import messages
from framelens_client.cli.command import framelens
from framelens_client.cli.tables import matches_left_out, objects_table
from framelens_client.v1 import framelens_pb2 as pb


def test_recognize_for_people(command: Callable[..., Any], picture: Path) -> None:
    done = command("recognize", picture)
    assert done.exit_code == 0, done.output
    for text in ("640x480", "cup", "0.95", "Red cup [bold] (p1)", "19.90 EUR", "Blue cup", "no videos", "decode 5.8"):
        assert text in done.stdout


def test_a_table_fits_eighty_columns_with_its_numbers_whole(recognition: pb.RecognizeResponse) -> None:
    many = [
        pb.Match(id=f"mug-espresso-{n}", title="Espresso cup with saucer", score=0.9, price=4200, currency="EUR",
                 merchant="Kitchen & Co")
        for n in range(4)
    ]  # fmt: skip
    found = pb.RecognizedObject(label="dining table", score=0.95, box=recognition.objects[0].box, matches=many)
    objects = messages.recognition(pb.RecognizeResponse(objects=[found])).objects
    screen = Console(width=80, file=StringIO(), record=True)
    screen.print(objects_table(objects))
    shown = screen.export_text()
    for whole in ("dining table  0.10,0.20,0.60,0.80", "0.95", "0.900", "4200.00 EUR", "(mug-espresso-0)"):
        assert whole in shown
    assert len(shown.splitlines()) == 5, "no row takes two lines"


def test_matches_that_are_not_shown_are_not_kept_secret(
    command: Callable[..., Any], picture: Path, recognition: pb.RecognizeResponse
) -> None:
    assert "--json has all" not in command("recognize", picture).stdout
    more = messages.recognition(recognition).objects[0]
    assert not matches_left_out([more])
    assert matches_left_out([replace(more, matches=more.matches * 2)])


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_single_picture_that_fails_is_named(
    gateway: Any, command: Callable[..., Any], fail: Callable[..., Any], picture: Path, as_json: list[str]
) -> None:
    gateway.failures += [fail(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PICTURE", "truncated")]
    done = command("recognize", picture, *as_json)
    assert (done.exit_code, done.stderr) == (1, f"{picture}: INVALID_PICTURE: truncated\n")


def test_a_wrong_token_ends_the_command_at_the_first_picture(
    gateway: Any, command: Callable[..., Any], fail: Callable[..., Any], picture: Path
) -> None:
    gateway.failures += [fail(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", "who")] * 2
    done = command("recognize", picture, picture)
    assert (done.exit_code, done.stderr) == (1, "Error: UNAUTHENTICATED: who\n")
    assert len(gateway.calls) == 1


def test_recognize_as_json(command: Callable[..., Any], picture: Path, recognition: pb.RecognizeResponse) -> None:
    done = command("recognize", picture, "--json")
    (line,) = done.stdout.splitlines()
    shape = MessageToDict(recognition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    assert json.loads(line) == shape
    assert ParseDict(json.loads(line), pb.RecognizeResponse()) == recognition


def test_recognize_options_reach_the_gateway(gateway: Any, command: Callable[..., Any], picture: Path) -> None:
    options = "--top-k 3 --min-score 0.5 --min-object-score 0.25 --max-objects 2 --category a --category b --merchant m"
    options += " --availability in_stock --account me --same-account --several-per-account"
    command("recognize", picture, *options.split(), "--min-price", 1, "--max-price", 2.5)
    request = gateway.calls[0].request
    assert request.search == pb.SearchOptions(
        top_k=3,
        min_score=0.5,
        filter=pb.Filter(
            categories=["a", "b"], merchants=["m"], min_price=1, max_price=2.5, availabilities=["in_stock"]
        ),
    )
    assert request.related == pb.RelatedOptions(account="me", same_account=True, several_per_account=True)
    assert (request.min_object_score, request.max_objects) == (0.25, 2)


def test_recognize_draws(command: Callable[..., Any], picture: Path, tmp_path: Path) -> None:
    assert command("recognize", picture, "--draw", tmp_path / "out.png").exit_code == 0
    with Image.open(tmp_path / "out.png") as image:
        assert (image.format, image.size) == ("PNG", (640, 480))


def test_one_failed_picture_of_several_does_not_stop_the_others(
    gateway: Any, command: Callable[..., Any], fail: Callable[..., Any], picture: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copy(picture, tmp_path / "other.jpg"))
    gateway.failures += [fail(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PICTURE", "truncated")]
    done = command("recognize", picture, other, "--json", "--draw", tmp_path / "out.png")
    assert done.exit_code == 1
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first == {"error": {"reason": "INVALID_PICTURE", "message": "truncated"}}
    assert len(second["objects"]) == 2
    assert f"{picture}: INVALID_PICTURE: truncated" in done.stderr
    assert [path.name for path in tmp_path.glob("*.png")] == ["out-other.png"]


def test_search(gateway: Any, command: Callable[..., Any], picture: Path, tmp_path: Path) -> None:
    done = command("search", picture, "--region", "0,0.25,0.5,1", "--page-token", "t", "--draw", tmp_path / "o.png")
    assert done.exit_code == 0, done.output
    assert gateway.calls[0].request.region == pb.Box(y_min=0.25, x_max=0.5, y_max=1)
    assert gateway.calls[0].request.page_token == "t"
    assert "Red cup" in done.stdout
    assert "--page-token more" in done.stdout
    assert (tmp_path / "o.png").exists()
    line = command("search", picture, "--region", "0,0.25,0.5,1", "--json").stdout
    assert ParseDict(json.loads(line), pb.SearchRegionResponse()).region == pb.Box(y_min=0.25, x_max=0.5, y_max=1)


def test_a_region_that_is_none_is_wrong_usage(gateway: Any, command: Callable[..., Any], picture: Path) -> None:
    done = command("search", picture, "--region", "0.9,0,0.1,1")
    assert done.exit_code == 2
    assert "empty or inverted" in done.stderr
    assert gateway.calls == []


@pytest.fixture
def stocked(gateway: Any) -> Any:
    for n in range(5):
        product = pb.Product(id=f"p{n}", title=f"Product {n} \x1b[31m", price=n, currency="EUR")
        gateway.products[f"p{n}"] = pb.ProductUpsert(product=product, pictures=[pb.ReferencePicture(picture=b"x")])
    return gateway


def test_list(stocked: Any, command: Callable[..., Any]) -> None:
    done = command("products", "list", "--limit", 3)
    assert done.exit_code == 0, done.output
    assert "Product 2" in done.stdout
    assert "Product 3" not in done.stdout
    assert "\x1b" not in done.stdout, "a title must not drive the terminal"
    assert "only the first 3 are shown" in done.stderr


def test_list_as_json(stocked: Any, command: Callable[..., Any]) -> None:
    done = command("products", "list", "--json", "--category", "cups")
    products = [ParseDict(json.loads(line), pb.StoredProduct()) for line in done.stdout.splitlines()]
    assert [stored.product.id for stored in products] == [f"p{n}" for n in range(5)]
    assert done.stderr == ""
    assert stocked.calls[0].request.filter == pb.Filter(categories=["cups"])


def test_get(stocked: Any, command: Callable[..., Any]) -> None:
    assert "Product 1" in command("products", "get", "p1").stdout
    assert json.loads(command("products", "get", "p1", "--json").stdout)["product"]["price"] == 1.0
    done = command("products", "get", "p9")
    assert (done.exit_code, done.stderr) == (1, 'Error: NOT_FOUND: no product "p9"\n')


def test_delete(stocked: Any, command: Callable[..., Any]) -> None:
    done = command("products", "delete", "p1", "p2")
    assert (done.exit_code, done.stdout) == (0, "deleted p1\ndeleted p2\n")
    done = command("products", "delete", "p1", "p3")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "deleted p3\n", "Error: not in the catalogue: p1\n")


def test_status(gateway: Any, command: Callable[..., Any]) -> None:
    done = command("status")
    assert done.exit_code == 0, done.output
    assert gateway.address in done.stdout
    assert done.stdout.count(" SERVING") == 4
    gateway.details = {"triton": "image operations: CPU"}
    assert "triton         image operations: CPU\n" in command("status").stdout
    gateway.details = {}
    gateway.health = {"framelens.v1.VisualSearch": 2, "framelens.v1.Trials": 2}
    done = command("status")
    assert done.exit_code == 1
    rows = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines())
    assert (rows["visual search"], rows["catalog"], rows["trials"]) == ("NOT_SERVING", "SERVING", "NOT_SERVING")


def test_nobody_at_the_address() -> None:
    done = CliRunner().invoke(framelens, ["--address", "127.0.0.1:1", "status"])
    assert done.exit_code == 1
    assert done.stderr == ("Error: no gateway answers at 127.0.0.1:1: the connection was refused; is it running?\n")


def test_token_and_timeout(gateway: Any, picture: Path) -> None:
    arguments = ["--address", gateway.address, "--timeout", "3", "recognize", str(picture)]
    assert CliRunner().invoke(framelens, arguments, env={"FRAMELENS_TOKEN": "secret"}).exit_code == 0
    assert gateway.calls[0].metadata["authorization"] == "Bearer secret"
    assert 2 < gateway.calls[0].remaining_s < 3.5


def test_version() -> None:
    assert CliRunner().invoke(framelens, ["--version"]).stdout == "framelens, version 0.1.0\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["recognize"],
        ["recognize", "missing.jpg"],
        ["unknown"],
        ["--timeout", "0", "status"],
        ["--address", "http://x", "status"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(framelens, arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("recognize", "PICTURE", "--top-k", "3000000000"),
        ("search", "PICTURE", "--region", "0,0,1,1", "--top-k", "3000000000"),
        ("products", "get", "\udcff"),
        ("products", "delete", "\udcff"),
        ("products", "list", "--category", "\udcff"),
    ],
)
def test_what_no_message_can_carry_is_told_in_one_line(
    command: Callable[..., Any], picture: Path, arguments: tuple[str, ...]
) -> None:
    done = command(*(str(picture) if each == "PICTURE" else each for each in arguments))
    assert done.exit_code == 1
    assert "INVALID_ARGUMENT: the request cannot be sent: " in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_token_with_a_line_feed_is_told_in_one_line(gateway: Any) -> None:
    arguments = ["--address", gateway.address, "status"]
    done = CliRunner().invoke(framelens, arguments, env={"FRAMELENS_TOKEN": "hush\n"})
    assert done.exit_code == 2
    assert "the token has characters" in done.stderr
    assert "hush" not in done.stderr


def test_the_help_names_the_gateways_default_of_object_scores(command: Callable[..., Any]) -> None:
    (line,) = (line for line in command("recognize", "--help").stdout.split("--") if line.startswith("min-object"))
    assert "[default: 0.5]" in " ".join(line.split())
