"""`framelens products import`, importer and all, against a real gRPC server."""

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from framelens_client.catalogue.importer import CALLS_IN_FLIGHT
from framelens_client.v1 import framelens_pb2 as pb

HEADER = "id,title,url,merchant,category,price,currency,image,region\n"


class Shop:
    """A catalogue on disk."""

    def __init__(self, folder: Path, png: bytes) -> None:
        self.path = folder / "catalogue.csv"
        self.images = folder / "images"
        self.images.mkdir()
        (self.images / "a.png").write_bytes(png)
        (self.images / "b.png").write_bytes(png + b"b")

    def write(self, *rows: str) -> None:
        self.path.write_text(HEADER + "".join(f"{row}\n" for row in rows))

    def fill(self, count: int) -> None:
        self.write(*(f"p{n:03},Product {n},,,,{n},EUR,a.png," for n in range(count)))

    @property
    def arguments(self) -> list[str]:
        return ["products", "import", str(self.path), "--images", str(self.images)]


@pytest.fixture
def shop(tmp_path: Path, png: bytes) -> Shop:
    return Shop(tmp_path, png)


@pytest.fixture
def run(command: Callable[..., Any], shop: Shop) -> Callable[..., Any]:
    return lambda *options: command(*shop.arguments, *options)


@pytest.fixture
def spawn(gateway: Any, shop: Shop) -> Callable[[], subprocess.Popen[str]]:
    code = "from framelens_client.cli import main; main()"
    arguments = [sys.executable, "-c", code, "--address", gateway.address, *shop.arguments]
    return lambda: subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def numbers(output: str) -> tuple[int, ...]:
    """Read, stored, unchanged, rejected and, where it is said, not sent."""
    summary = next(line for line in output.splitlines() if "rows read" in line)
    return tuple(map(int, re.findall(r"\d+", summary)))


def test_everything_is_stored(gateway: Any, shop: Shop, run: Callable[..., Any], png: bytes) -> None:
    shop.write('p1,Cup,http://x,Shop,cups,9.5,EUR,a.png,"0,0,0.5,1"', "p2,Pot,,,,,,b.png,", "p1,,,,,,,b.png,")
    done = run()
    assert done.exit_code == 0, done.output
    assert numbers(done.stdout) == (3, 3, 0, 0)
    assert gateway.products["p1"] == pb.ProductUpsert(
        product=pb.Product(
            id="p1", title="Cup", url="http://x", merchant="Shop", category="cups", price=9.5, currency="EUR"
        ),
        pictures=[
            pb.ReferencePicture(picture=png, region=pb.Box(x_max=0.5, y_max=1)),
            pb.ReferencePicture(picture=png + b"b"),
        ],
    )
    assert gateway.products["p2"].product == pb.Product(id="p2", title="Pot")


def test_a_second_run_sends_nothing(gateway: Any, shop: Shop, run: Callable[..., Any]) -> None:
    shop.fill(40)
    assert numbers(run().stdout) == (40, 40, 0, 0)
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (0, (40, 0, 40, 0))
    assert len(gateway.upserted()) == 40


def test_what_changed_is_sent_again(gateway: Any, shop: Shop, run: Callable[..., Any], png: bytes) -> None:
    shop.write("p1,Cup,,,,,,a.png,", "p2,Pot,,,,,,b.png,", "p3,Pan,,,,,,a.png,")
    run()
    shop.write("p1,Mug,,,,,,a.png,", "p2,Pot,,,,,,b.png,", "p3,Pan,,,,,,a.png,")
    (shop.images / "b.png").write_bytes(png + b"new")
    assert numbers(run().stdout) == (3, 2, 1, 0)
    assert gateway.upserted() == ["p1", "p2", "p3", "p2"]
    assert gateway.products["p1"].product.title == "Mug"
    assert gateway.products["p2"].pictures[0].picture == png + b"new"
    assert numbers(run().stdout) == (3, 0, 3, 0)


def updated(gateway: Any) -> list[str]:
    requests = [call.request for call in gateway.calls if call.method == "UpdateProducts"]
    return [update.id for request in requests for update in request.updates]


def test_where_only_fields_have_changed_no_picture_is_sent(gateway: Any, shop: Shop, run: Callable[..., Any]) -> None:
    shop.write("p1,Cup,u,m,c,9.5,EUR,a.png,", "p2,Pot,,,,1,,b.png,", "p3,Pan,,,,2,,a.png,")
    run()
    shop.write("p1,Cup,,,,8,EUR,a.png,", "p2,Pot,,,,,,b.png,", "p3,Pan,,,,2,,a.png,")
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (0, (3, 2, 1, 0))
    assert (updated(gateway), len(gateway.upserted())) == (["p1", "p2"], 3)
    assert gateway.products["p1"].product == pb.Product(id="p1", title="Cup", price=8, currency="EUR")
    assert gateway.products["p2"].product == pb.Product(id="p2", title="Pot")
    assert len(gateway.products["p2"].pictures) == 1


@pytest.mark.parametrize("reason", ["NOT_FOUND", "INVALID_PRODUCT"])
def test_what_cannot_be_updated_is_sent_whole(gateway: Any, shop: Shop, run: Callable[..., Any], reason: str) -> None:
    shop.write("p1,Cup,,,,,,a.png,", "p2,Pot,,,,,,b.png,")
    run()
    gateway.row_errors["p1"] = [pb.RowError(reason=reason, message="no")]
    shop.write("p1,Mug,,,,,,a.png,", "p2,Pan,,,,,,b.png,")
    assert numbers(run().stdout) == (2, 2, 0, 0)
    assert (updated(gateway), gateway.upserted()[2:]) == (["p1", "p2"], ["p1"])
    assert {each.product.title for each in gateway.products.values()} == {"Mug", "Pan"}


def test_an_update_that_is_refused_is_a_rejected_row(gateway: Any, shop: Shop, run: Callable[..., Any]) -> None:
    shop.write("p1,Cup,,,,,,a.png,")
    run()
    gateway.row_errors["p1"] = [pb.RowError(reason="INVALID_PRODUCT", message="not so") for _ in range(2)]
    shop.write("p1,Mug,,,,,,a.png,")
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (1, (1, 0, 0, 1))
    assert done.stderr == 'line 2: product "p1": not so\n'


def test_a_gateway_that_has_no_updates_gets_the_products_whole(
    gateway: Any, shop: Shop, run: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    shop.write("p1,Cup,,,,,,a.png,")
    run()
    shop.write("p1,Mug,,,,,,a.png,")
    gateway.UpdateProducts = lambda _, context: fail(grpc.StatusCode.UNIMPLEMENTED).abort(context)
    assert numbers(run().stdout) == (1, 1, 0, 0)
    assert gateway.products["p1"].product.title == "Mug"


def test_updates_wait_for_a_gateway_that_is_away_for_a_moment(
    gateway: Any, shop: Shop, run: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    shop.write("p1,Cup,,,,,,a.png,")
    run()
    shop.write("p1,Mug,,,,,,a.png,")
    gateway.failures += [fail(grpc.StatusCode.UNAVAILABLE, "MILVUS_UNAVAILABLE")] * 2
    assert numbers(run().stdout) == (1, 1, 0, 0)
    assert len(gateway.upserted()) == 1


def test_other_formats_are_told_by_the_file_or_by_the_option(
    gateway: Any, shop: Shop, command: Callable[..., Any], tmp_path: Path
) -> None:
    images = ["--images", str(shop.images)]
    lines = tmp_path / "products.jsonl"
    lines.write_text('{"id": "j1", "price": 2, "pictures": [{"image": "a.png"}, {"image": "b.png"}], "stock": 4}\n')
    done = command("products", "import", lines, *images)
    assert (done.exit_code, numbers(done.stdout)) == (0, (2, 2, 0, 0))
    assert "columns not used: stock" in done.stderr
    google = tmp_path / "bulk.csv"
    google.write_text('gs://bucket/shop/a.png,,set,g1,apparel-v2,Coat,"price=9,colour=red",\n')
    done = command("products", "import", google, *images)
    assert (done.exit_code, numbers(done.stdout)) == (0, (1, 1, 0, 0))
    assert done.stderr.splitlines() == [
        "product-set-id is ignored: all products are in one catalogue",
        "labels not used: colour",
    ]
    assert gateway.products["g1"].product == pb.Product(id="g1", title="Coat", category="apparel-v2", price=9)
    wrong = command("products", "import", google, *images, "--format", "csv")
    assert wrong.exit_code == 1 and "the header has no column id" in wrong.stderr


def test_what_the_gateway_has_lost_is_sent_again(gateway: Any, shop: Shop, run: Callable[..., Any]) -> None:
    shop.fill(3)
    run()
    del gateway.products["p001"]
    assert numbers(run().stdout) == (3, 1, 2, 0)
    assert gateway.upserted()[3:] == ["p001"]


def test_restart_sends_everything(gateway: Any, shop: Shop, run: Callable[..., Any]) -> None:
    shop.fill(3)
    run()
    assert numbers(run("--restart").stdout) == (3, 3, 0, 0)
    assert numbers(run().stdout) == (3, 0, 3, 0)


def test_one_line_per_rejected_row(gateway: Any, shop: Shop, run: Callable[..., Any], tmp_path: Path) -> None:
    gateway.row_errors["p3"] = [pb.RowError(reason="INVALID_PICTURE", message="picture 1 is truncated")]
    shop.write(
        "p1,,,,,,,a.png,", "p1,,,,,,,[bold]x.png,", "p3,,,,,,,a.png,", "p3,,,,,,,b.png,", "short", "p4,,,,,,,a.png,"
    )
    done = run("--report", tmp_path / "report.jsonl")
    assert done.exit_code == 1
    assert numbers(done.stdout) == (6, 2, 0, 4)
    expected = [
        'line 3: product "p1": image not found: [bold]x.png',
        'line 4: product "p3": picture 1 is truncated',
        'line 5: product "p3": picture 1 is truncated',
        "line 6: 1 fields where the header has 9",
    ]
    assert sorted(done.stderr.splitlines()) == expected
    report = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert sorted(row["line"] for row in report) == [3, 4, 5, 6]
    assert {row["reason"] for row in report if row["id"] == "p3"} == {"INVALID_PICTURE"}
    assert set(gateway.products) == {"p1", "p4"}
    # What was rejected is no part of the journal: it is tried again, and the rest is not.
    assert numbers(run().stdout) == (6, 2, 2, 2)


def test_a_report_line_stays_one_line(shop: Shop, run: Callable[..., Any]) -> None:
    shop.write('"p1\n\x1b[31m",,,,,,,x.png,')
    assert run().stderr == 'line 2: product "p1��[31m": image not found: x.png\n'


def test_calls_are_bounded_and_several_at_once(gateway: Any, shop: Shop, run: Callable[..., Any]) -> None:
    together = threading.Barrier(CALLS_IN_FLIGHT, timeout=10)
    gateway.before_upsert = lambda *_: together.wait() and None
    shop.fill(64)
    assert numbers(run().stdout) == (64, 64, 0, 0)
    assert [len(call.request.products) for call in gateway.calls] == [16] * 4


def test_a_call_that_is_refused_as_a_whole_is_told_apart(
    gateway: Any, shop: Shop, run: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    def refuse(request: pb.UpsertProductsRequest, context: grpc.ServicerContext) -> None:
        if "p003" in [upsert.product.id for upsert in request.products]:
            fail(grpc.StatusCode.INTERNAL, "INTERNAL", "p003 is poison").abort(context)

    gateway.before_upsert = refuse
    shop.fill(8)
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (1, (8, 7, 0, 1))
    assert done.stderr == 'line 5: product "p003": p003 is poison\n'


@pytest.mark.parametrize("stored", [0, 40])
def test_a_gateway_that_fails_over_everything_stops_it_and_no_row_is_rejected(
    gateway: Any, shop: Shop, run: Callable[..., Any], fail: Callable[..., Any], stored: int
) -> None:
    def fail_when_full(request: pb.UpsertProductsRequest, context: grpc.ServicerContext) -> None:
        with disk:
            if len(gateway.products) + len(request.products) > stored:
                fail(grpc.StatusCode.INTERNAL, "INTERNAL", "the gateway failed").abort(context)
            gateway.products |= {upsert.product.id: upsert for upsert in request.products}

    disk = threading.Lock()
    gateway.before_upsert = fail_when_full
    shop.fill(2000)
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (1, (2000, stored, 0, 0, 2000 - stored))
    assert "stopped: INTERNAL: the gateway failed" in done.stderr
    assert len(gateway.calls) < 60, "every row was tried"
    gateway.before_upsert = lambda *_: None
    assert numbers(run().stdout) == (2000, 2000 - stored, stored, 0)


@pytest.mark.parametrize("count", [1, 2])
def test_a_catalogue_of_which_the_gateway_stores_nothing_is_not_rejected(
    gateway: Any, shop: Shop, run: Callable[..., Any], fail: Callable[..., Any], count: int
) -> None:
    gateway.failures += [fail(grpc.StatusCode.INTERNAL, "INTERNAL", "the gateway failed")] * 3
    shop.fill(count)
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (1, (count, 0, 0, 0, count))
    assert "stopped: INTERNAL: the gateway failed" in done.stderr


def test_products_that_the_gateway_fails_over_among_others_are_rejected(
    gateway: Any, shop: Shop, run: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    poison = {"p001", "p003", "p004", "p007"}

    def refuse(request: pb.UpsertProductsRequest, context: grpc.ServicerContext) -> None:
        if poison & {upsert.product.id for upsert in request.products}:
            fail(grpc.StatusCode.INTERNAL, "INTERNAL", "poison").abort(context)

    gateway.before_upsert = refuse
    shop.fill(8)
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (1, (8, 4, 0, 4))
    assert [line.split('"')[1] for line in done.stderr.splitlines()] == sorted(poison)


def test_rows_that_failed_for_a_passing_reason_are_tried_again(
    gateway: Any, shop: Shop, run: Callable[..., Any]
) -> None:
    gateway.row_errors["p001"] = [pb.RowError(reason="TRITON_UNAVAILABLE", message="Triton is away")]
    shop.fill(3)
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (0, (3, 3, 0, 0))
    assert gateway.upserted() == ["p000", "p001", "p002", "p001"]


def test_it_waits_for_a_gateway_that_sheds_or_lost_a_part(
    gateway: Any, shop: Shop, run: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    gateway.failures += [
        fail(grpc.StatusCode.UNAVAILABLE, "MILVUS_UNAVAILABLE"),
        fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after_s=0.2),
        fail(grpc.StatusCode.UNAVAILABLE),
    ]
    shop.fill(3)
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (0, (3, 3, 0, 0))


def test_a_gateway_that_stays_away_stops_it_and_the_next_run_goes_on(
    gateway: Any, shop: Shop, run: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    def go_away(request: pb.UpsertProductsRequest, context: grpc.ServicerContext) -> None:
        if len(gateway.products) >= 16:
            fail(grpc.StatusCode.UNAVAILABLE, "MILVUS_UNAVAILABLE", "Milvus is away").abort(context)
        gateway.products |= {upsert.product.id: upsert for upsert in request.products}

    lock = threading.Lock()

    def one_at_a_time(request: pb.UpsertProductsRequest, context: grpc.ServicerContext) -> None:
        with lock:
            go_away(request, context)

    gateway.before_upsert = one_at_a_time
    shop.fill(100)
    done = run("--wait", 0.5)
    assert (done.exit_code, numbers(done.stdout)) == (1, (100, 16, 0, 0, 84))
    assert "stopped: MILVUS_UNAVAILABLE: Milvus is away" in done.stderr
    assert "run the same command again" in done.stderr
    gateway.before_upsert = lambda *_: None
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (0, (100, 84, 16, 0))


def test_a_gateway_that_restarts_meanwhile(
    shop: Shop, make_gateway: Callable[..., Any], start: Callable[..., Any], run: Callable[..., Any], gateway: Any
) -> None:
    fake = make_gateway()
    server = start(fake)
    gateway.address = fake.address
    port = int(fake.address.rpartition(":")[2])
    fake.before_upsert = lambda *_: time.sleep(0.1)
    shop.fill(200)

    def restart() -> None:
        while len(fake.products) < 30:
            time.sleep(0.01)
        server.stop(None).wait()
        time.sleep(0.5)
        start(fake, port)

    with ThreadPoolExecutor(1) as pool:
        restarting = pool.submit(restart)
        done = run()
        restarting.result()
    assert (done.exit_code, numbers(done.stdout)) == (0, (200, 200, 0, 0))
    assert len(fake.products) == 200


def test_a_wrong_token_stops_it(gateway: Any, shop: Shop, run: Callable[..., Any], fail: Callable[..., Any]) -> None:
    gateway.failures += [fail(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", "no token")] * 4
    shop.fill(3)
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (1, (3, 0, 0, 0, 3))
    assert "stopped: UNAUTHENTICATED: no token" in done.stderr


def kill(run: subprocess.Popen[str]) -> None:
    run.kill()


def interrupt(run: subprocess.Popen[str]) -> None:
    run.send_signal(signal.SIGINT)


def interrupt_another_thread(run: subprocess.Popen[str]) -> None:
    """The system may give a signal to any thread, one of gRPC's too."""
    other = next(int(task.name) for task in Path(f"/proc/{run.pid}/task").iterdir() if int(task.name) != run.pid)
    assert ctypes.CDLL(None).tgkill(run.pid, other, signal.SIGINT) == 0


@pytest.mark.parametrize("end", [kill, interrupt, interrupt_another_thread])
def test_a_run_that_was_ended_is_resumed(
    gateway: Any,
    shop: Shop,
    spawn: Callable[[], subprocess.Popen[str]],
    end: Callable[[subprocess.Popen[str]], None],
) -> None:
    ended = threading.Event()

    def hang_after_two_calls(request: pb.UpsertProductsRequest, context: grpc.ServicerContext) -> None:
        if len(gateway.products) >= 32:
            ended.wait(60)
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    gateway.before_upsert = hang_after_two_calls
    shop.fill(200)
    first = spawn()
    state = shop.path.with_name("catalogue.csv.import-state")
    while not (state.exists() and state.read_text().count("fingerprint") >= 32 and len(gateway.calls) >= 4):
        assert first.poll() is None
        time.sleep(0.02)
    end(first)
    stdout, stderr = first.communicate(timeout=20)
    acknowledged = state.read_text().count("fingerprint")
    ended.set()
    assert "Traceback" not in stderr
    if end is not kill:
        assert first.returncode == 130
        assert numbers(stdout) == (200, acknowledged, 0, 0, 200 - acknowledged)
        assert "run the same command again" in stderr
    gateway.before_upsert = lambda *_: None
    sent = len(gateway.upserted())
    second = spawn()
    stdout, stderr = second.communicate(timeout=60)
    assert (second.returncode, numbers(stdout)) == (0, (200, 200 - acknowledged, acknowledged, 0)), stderr
    assert len(gateway.upserted()) - sent == 200 - acknowledged
    assert len(gateway.products) == 200


def test_a_picture_that_vanishes_meanwhile(gateway: Any, shop: Shop, run: Callable[..., Any]) -> None:
    if os.geteuid() == 0:
        unreadable = shop.images / "fifo.png"
        unreadable.symlink_to("/proc/self/mem")
    else:
        unreadable = shop.images / "fifo.png"
        unreadable.write_bytes(b"")
        unreadable.chmod(0)
    shop.write("p1,,,,,,,fifo.png,", "p2,,,,,,,a.png,")
    done = run()
    assert (done.exit_code, numbers(done.stdout)) == (1, (2, 1, 0, 1))
    assert done.stderr.startswith('line 2: product "p1": image cannot be read: ')


def test_a_catalogue_that_cannot_be_used(shop: Shop, run: Callable[..., Any]) -> None:
    shop.path.write_text("id,title\n")
    done = run()
    assert done.exit_code == 1
    assert "the header has no column image" in done.stderr


def test_a_report_never_overwrites_the_catalogue(shop: Shop, run: Callable[..., Any]) -> None:
    shop.fill(1)
    before = shop.path.read_text()
    assert run("--report", shop.path).exit_code == 2
    assert shop.path.read_text() == before


def test_unused_columns_are_named(shop: Shop, run: Callable[..., Any]) -> None:
    shop.path.write_text("id,title,url,merchant,category,price,currency,image,stock\np1,,,,,,,a.png,7\n")
    done = run()
    assert done.exit_code == 0
    assert "columns not used: stock" in done.stderr
