"""Indexes cut-out goods in the real stack, and looks for them in photographs."""

import shutil
import time
import urllib.request
from collections.abc import Iterable, Sequence

import grpc
from rich.console import Console

from framelens_client import Client, Product, ProductUpsert, ReferencePicture
from framelens_perf.paths import Paths
from framelens_perf.stack import Addresses, StackFailure, embedded_stack
from framelens_perf.unnamed.packages import PACKAGES, unpacked
from framelens_perf.unnamed.pictures import CutOut, Photograph, cut_outs, held_out_photographs, photographs
from framelens_perf.unnamed.price import measure_price
from framelens_perf.unnamed.questions import Asker, ask_photographs, ask_scenes
from framelens_perf.unnamed.report import Report, print_report, verdict, write_report
from framelens_perf.unnamed.scenes import as_jpeg, reference, scenes

_SEEDS = (1, 2)
_PER_CALL = 32
_PRICED = 60
# The gateway looks at its collections every ten seconds; it has seen all products by then.
_CALIBRATED_AFTER_S = 15.0
_CALIBRATED_WITHIN_S = 60.0
_METRIC = "framelens_unnamed_threshold{"


def run_unnamed(paths: Paths, console: Console, boxes: int) -> bool:
    """Whether the bars are kept. Raises PackageError, StackFailure."""
    console.print(f"fetching pictures: {', '.join(PACKAGES)}")
    root = unpacked(PACKAGES, paths.out / "packages")
    goods, backgrounds = cut_outs(root), list(photographs(root, paths.pictures))
    held_out = list(held_out_photographs(root))
    shutil.rmtree(paths.out / "stack", ignore_errors=True)
    console.print(f"starting the stack, and indexing {len(goods)} products")
    frames = [each for seed in _SEEDS for each in scenes(goods, backgrounds, seed)]
    price = measure_price(paths.model_repository, frames[:_PRICED], boxes)
    with embedded_stack(paths.stack_command, paths.out / "stack", paths.model_repository, boxes) as addresses:
        with Client(addresses.grpc) as client:
            index(client, goods)
        threshold = calibrated(addresses)
        console.print(f"calibrated: kept from a score of {threshold:.3f}; asking")
        with grpc.insecure_channel(addresses.grpc) as channel:
            asker = Asker(channel)
            report = Report(
                products=len(goods),
                boxes=boxes,
                threshold=threshold,
                scenes=ask_scenes(asker, frames),
                photographs=ask_photographs(asker, _encoded(backgrounds)),
                held_out=ask_photographs(asker, _encoded(held_out)),
                price=price,
            )
    write_report(paths.out / "report.json", report)
    print_report(console, report)
    console.print(f"report.json is in {paths.out}")
    return verdict(console, report)


def index(client: Client, goods: Sequence[CutOut]) -> None:
    """Raises FrameLensError, StackFailure."""
    for at in range(0, len(goods), _PER_CALL):
        answer = client.upsert_products([_upsert(good) for good in goods[at : at + _PER_CALL]], timeout_s=120)
        if refused := [result for result in answer.results if result.error]:
            raise StackFailure(f"product {refused[0].id} was not stored: {refused[0].error}")


def calibrated(addresses: Addresses) -> float:
    """The threshold, once the gateway has seen all products. Raises StackFailure."""
    time.sleep(_CALIBRATED_AFTER_S)
    end = time.monotonic() + _CALIBRATED_WITHIN_S
    while time.monotonic() < end:
        with urllib.request.urlopen(f"http://{addresses.http}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        threshold = max((float(line.rpartition(" ")[2]) for line in lines if line.startswith(_METRIC)), default=0.0)
        if threshold > 0:
            return threshold
        time.sleep(1)
    raise StackFailure(f"the collection was not calibrated within {_CALIBRATED_WITHIN_S:.0f} s; see the gateway's log")


def _upsert(good: CutOut) -> ProductUpsert:
    picture, region = reference(good)
    return ProductUpsert(Product(id=good.name, title=good.name), (ReferencePicture(picture, region),))


def _encoded(pictures: Iterable[Photograph]) -> Iterable[tuple[str, bytes]]:
    return ((each.name, as_jpeg(each.picture)) for each in pictures)
