"""Asks the gateway about the demo's frames and checks what it says."""

import time
from dataclasses import dataclass

from framelens_client import Client, RecognizedObject
from framelens_perf.sample_frames import SampleFrame

REGION_LABEL = "(region drawn by hand)"


@dataclass(frozen=True)
class Answer:
    """What came back for one frame; a region that was drawn counts as one object."""

    frame: SampleFrame
    latency_ms: float
    stages_ms: dict[str, float]
    objects: tuple[RecognizedObject, ...]

    def faults(self) -> list[str]:
        """What is not as expected, one line each."""
        return [*self._label_faults(), *self._match_faults()]

    def _label_faults(self) -> list[str]:
        expected = self.frame.labels or {REGION_LABEL}
        wrong = sorted({found.label for found in self.objects} - expected)
        missing = [] if self.objects else ["nothing found"]
        return [f"{self.frame.name}: {fault}" for fault in (*(f"label {label}" for label in wrong), *missing)]

    def _match_faults(self) -> list[str]:
        best = {found.label: found.matches[0].id if found.matches else None for found in self.objects[:1]}
        return [
            f"{self.frame.name}: {label} led to {product}, expected {self.frame.product}"
            for label, product in best.items()
            if product != self.frame.product
        ]


def ask(client: Client, frame: SampleFrame, picture: bytes) -> Answer:
    """Recognises the frame, or searches its region where one is drawn. Raises FrameLensError."""
    started = time.perf_counter()
    if frame.region is None:
        recognised = client.recognize(picture)
        objects, served = recognised.objects, recognised.served
    else:
        found = client.search_region(picture, frame.region)
        objects = (
            RecognizedObject(REGION_LABEL, 1.0, found.region, "products", found.matches, "", found.next_page_token),
        )
        served = found.served
    return Answer(frame, (time.perf_counter() - started) * 1e3, dict(served.stages_ms), objects)
