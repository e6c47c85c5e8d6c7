"""Asks the gateway about the demo's frames and checks what it says."""

import time
from dataclasses import dataclass

from framelens_client import Client, RecognizedObject
from framelens_perf.sample_frames import DRAWN_LABEL, SampleFrame


@dataclass(frozen=True)
class Answer:
    """What came back for one frame; a region that was drawn counts as one object."""

    frame: SampleFrame
    latency_ms: float
    stages_ms: dict[str, float]
    objects: tuple[RecognizedObject, ...]

    def faults(self) -> list[str]:
        """What is not as expected, one line each."""
        expected, found = self.frame.label, [each.label for each in self.objects]
        wrong = sorted(set(found) - {expected} - self.frame.others)
        faults = [f"label {label}" for label in wrong]
        if expected not in found:
            faults.append(f"no {expected} was found")
        else:
            faults += self._match_faults(self.objects[found.index(expected)])
        return [f"{self.frame.name}: {fault}" for fault in faults]

    def _match_faults(self, main: RecognizedObject) -> list[str]:
        product = main.matches[0].id if main.matches else None
        as_expected = product == self.frame.product
        return [] if as_expected else [f"{main.label} led to {product}, expected {self.frame.product}"]


def ask(client: Client, frame: SampleFrame, picture: bytes) -> Answer:
    """Recognises the frame, or searches its region where one is drawn. Raises FrameLensError."""
    started = time.perf_counter()
    if frame.region is None:
        recognised = client.recognize(picture)
        objects, served = recognised.objects, recognised.served
    else:
        found = client.search_region(picture, frame.region)
        objects = (
            RecognizedObject(DRAWN_LABEL, 1.0, found.region, "products", found.matches, "", found.next_page_token),
        )
        served = found.served
    return Answer(frame, (time.perf_counter() - started) * 1e3, dict(served.stages_ms), objects)
