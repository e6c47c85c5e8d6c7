"""What a measurement needs around it: engines to measure, a stack that serves them, and a catalogue to search."""

import asyncio
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from framelens_client import AsyncClient, Box, Product, ProductUpsert, ReferencePicture
from framelens_perf.in_process import DETECTOR, EMBEDDER
from framelens_perf.paths import Paths
from framelens_perf.swap.changes import run

_PER_CALL = 64
_CALLS_AT_ONCE = 2
_SIDE = 160
_WHOLE = Box(0.0, 0.0, 1.0, 1.0)


def repository_with(precision: str, paths: Paths, say: Callable[[str], None]) -> Path:
    """A model repository whose newest engines are of a precision; built on first need and kept. Raises CommandFailure.

    FP32 engines are those of the repository itself.
    """
    if precision == "fp32":
        return paths.model_repository
    kept = paths.out / f"model_repository-{precision}"
    if not kept.is_dir():
        staged = kept.with_name(f"{kept.name}.part")
        shutil.rmtree(staged, ignore_errors=True)
        ignored = shutil.ignore_patterns("*__candidate", "__pycache__", ".*")
        shutil.copytree(paths.model_repository, staged, ignore=ignored)
        for model in (DETECTOR, EMBEDDER):
            say(f"building {model} in {precision}")
            _build(model, precision, staged)
        staged.rename(kept)
    return kept


def _build(model: str, precision: str, repository: Path) -> None:
    staging = repository / ".staging"
    command = str(Path(sys.executable).with_name("framelens-engines"))
    where = ["--repository", str(repository), "--staging", str(staging)]
    built = run([command, "build", model, "--precision", precision, *where, "--json"])
    version = str(built["version"])
    (staging / model / version).rename(repository / model / version)


def fill(address: str, products: int, kept: Path, say: Callable[[str], None]) -> None:
    """Stores so many products, each with a picture of its own, unless `kept` says that they are there."""
    if kept.exists() and json.loads(kept.read_text())["products"] == products:
        return
    say(f"storing {products} products")
    asyncio.run(_fill(address, products))
    kept.write_text(json.dumps({"products": products}))


async def _fill(address: str, products: int) -> None:
    draw = np.random.default_rng(0)
    numbers = iter(range(0, products, _PER_CALL))

    async def some(client: AsyncClient) -> None:
        for first in numbers:
            some = [_product(number, draw) for number in range(first, min(products, first + _PER_CALL))]
            answer = await client.upsert_products(some, timeout_s=120)
            if errors := [result.error for result in answer.results if result.error]:
                raise RuntimeError(f"a product was refused: {errors[0]}")

    async with AsyncClient(address) as client:
        await asyncio.gather(*(some(client) for _ in range(_CALLS_AT_ONCE)))


def _product(number: int, draw: np.random.Generator) -> ProductUpsert:
    patches = Image.fromarray(draw.integers(0, 256, (4, 4, 3), np.uint8)).resize((_SIDE, _SIDE))
    buffer = io.BytesIO()
    patches.save(buffer, "JPEG")
    product = Product(
        id=f"p{number:06d}",
        title=f"Product {number}",
        merchant=f"shop{number % 50}",
        category=f"kind{number % 20}",
        url=f"https://shop.example/{number}",
        price=float(number % 1000),
        currency="EUR",
    )
    return ProductUpsert(product, (ReferencePicture(buffer.getvalue(), _WHOLE),))
