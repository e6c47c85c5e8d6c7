"""Recall@1: altered pictures of the catalogue's own products, searched as regions."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from framelens_client import Box, Client
from framelens_perf.alterations import ALTERATIONS, encoded, phone_frame, phone_region

_WHOLE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Recall:
    """How many altered pictures found their product first, and those that did not."""

    asked: int
    missed: tuple[str, ...]

    @property
    def at_1(self) -> float:
        return (self.asked - len(self.missed)) / self.asked


def measure_recall(client: Client, catalogue: Path, pictures: Path) -> Recall:
    """Every reference picture of the catalogue under every alteration, and drawn by hand in a phone's frame."""
    asked, missed = 0, []
    for product, reference in references(catalogue, pictures):
        queries = [(name, alter(reference), _WHOLE) for name, alter in ALTERATIONS.items()]
        queries.append(("phone-frame", phone_frame(reference), phone_region(reference)))
        for name, picture, region in queries:
            matches = client.search_region(encoded(picture), region, top_k=1).matches
            asked += 1
            if not matches or matches[0].id != product:
                missed.append(f"{product}/{name}")
    return Recall(asked, tuple(missed))


def references(catalogue: Path, pictures: Path) -> Iterator[tuple[str, Image.Image]]:
    """Product ids with what their reference pictures show of them."""
    with catalogue.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            with Image.open(pictures / row["image"]) as opened:
                picture = opened.convert("RGB")
            if row["region"]:
                left, top, right, bottom = map(float, row["region"].split())
                width, height = picture.size
                picture = picture.crop((left * width, top * height, right * width, bottom * height))
            yield row["id"], picture
