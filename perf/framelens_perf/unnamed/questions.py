"""Asks the gateway with and without boxes that have no name, and counts what is found."""

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import grpc

from framelens_client import Box
from framelens_client.v1 import framelens_pb2 as pb
from framelens_client.v1 import framelens_pb2_grpc as pb_grpc
from framelens_perf.unnamed.scenes import Scene

UNNAMED = "object"
_IOU = 0.5
_TIMEOUT_S = 60.0


@dataclass
class SceneFigures:
    """Of frames with a product: how many led to it first, with its box at IoU .5."""

    asked: int = 0
    found_by_labels: int = 0
    found: int = 0
    # With the place of the product given as a region: what boxes could lead to at most.
    found_by_place: int = 0
    # An object without a name was kept that led to another product first.
    misled: int = 0
    missed: list[str] = field(default_factory=list)
    labels_ms: list[float] = field(default_factory=list)
    both_ms: list[float] = field(default_factory=list)

    @property
    def times_found(self) -> float:
        return self.found / max(1, self.found_by_labels)

    @property
    def added_ms(self) -> float:
        """The median of the differences frame by frame: the machine's speed drifts."""
        return statistics.median(both - labels for both, labels in zip(self.both_ms, self.labels_ms, strict=True))


@dataclass
class PhotographFigures:
    """Of frames without product: those in which an object without a name was kept."""

    asked: int = 0
    matched: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        return len(self.matched) / self.asked


class Asker:
    """The gateway's own contract, with one answer for each question."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._search = pb_grpc.VisualSearchStub(channel)

    def recognize(self, picture: bytes, unnamed: bool) -> tuple[pb.RecognizeResponse, float]:
        """The answer and its milliseconds."""
        request = pb.RecognizeRequest(picture=picture, unnamed_objects=unnamed)
        started = time.perf_counter()
        answer: pb.RecognizeResponse = self._search.Recognize(request, timeout=_TIMEOUT_S)
        return answer, (time.perf_counter() - started) * 1e3

    def first_of_region(self, picture: bytes, place: Box) -> str:
        region = pb.Box(x_min=place.x_min, y_min=place.y_min, x_max=place.x_max, y_max=place.y_max)
        answer = self._search.SearchRegion(
            pb.SearchRegionRequest(picture=picture, region=region, search=pb.SearchOptions(top_k=1)), timeout=_TIMEOUT_S
        )
        return answer.matches[0].id if answer.matches else ""


def ask_scenes(asker: Asker, scenes: Sequence[Scene]) -> SceneFigures:
    """Each once with labels alone and once with both, by turns."""
    figures = SceneFigures()
    for turn, scene in enumerate(scenes):
        answers = {}
        for unnamed in (False, True) if turn % 2 else (True, False):
            answers[unnamed], taken_ms = asker.recognize(scene.picture, unnamed)
            (figures.both_ms if unnamed else figures.labels_ms).append(taken_ms)
        found = leads_to(answers[True].objects, scene)
        figures.asked += 1
        figures.found_by_labels += leads_to(answers[False].objects, scene)
        figures.found += found
        figures.found_by_place += asker.first_of_region(scene.picture, scene.place) == scene.product
        figures.misled += any(each.matches[0].id != scene.product for each in kept(answers[True]))
        if not found:
            figures.missed.append(scene.name)
    return figures


def ask_photographs(asker: Asker, pictures: Iterable[tuple[str, bytes]]) -> PhotographFigures:
    """Named, encoded pictures without product."""
    figures = PhotographFigures()
    for name, picture in pictures:
        answer, _ = asker.recognize(picture, unnamed=True)
        figures.asked += 1
        if false := [f"{each.matches[0].id} {each.matches[0].score:.2f}" for each in kept(answer)]:
            figures.matched.append(f"{name}: {', '.join(false)}")
    return figures


def kept(answer: pb.RecognizeResponse) -> list[pb.RecognizedObject]:
    return [found for found in answer.objects if found.label == UNNAMED]


def leads_to(objects: Iterable[pb.RecognizedObject], scene: Scene) -> bool:
    """Whether one of them is where the product is, and has it as its first match."""
    return any(
        found.matches and found.matches[0].id == scene.product and iou(found.box, scene.place) >= _IOU
        for found in objects
    )


def iou(one: pb.Box, other: Box) -> float:
    """Intersection over union."""
    width = max(0.0, min(one.x_max, other.x_max) - max(one.x_min, other.x_min))
    height = max(0.0, min(one.y_max, other.y_max) - max(one.y_min, other.y_min))
    areas = [(box.x_max - box.x_min) * (box.y_max - box.y_min) for box in (one, other)]
    return width * height / (sum(areas) - width * height)
