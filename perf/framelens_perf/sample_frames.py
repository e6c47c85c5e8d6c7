"""The frames of the demo: altered pictures, and what each must lead to."""

from dataclasses import dataclass

from framelens_client import Box
from framelens_perf.alterations import Alteration, cropped, flipped, phone_frame, relit, unaltered

_WHOLE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class SampleFrame:
    """A frame, the labels that it shows, and the product that must come first (None: none, it is for videos)."""

    name: str
    picture: str
    alterations: tuple[Alteration, ...]
    labels: frozenset[str]
    product: str | None
    # A box drawn by hand; nothing is detected then.
    region: Box | None = None


RECOGNISED = (
    SampleFrame("coffee-phone", "coffee.png", (phone_frame,), frozenset({"cup", "dining table"}), "mug-espresso"),
    SampleFrame(
        "coffee-cropped-flipped", "coffee.png", (cropped, flipped), frozenset({"cup", "dining table"}), "mug-espresso"
    ),
    SampleFrame(
        "motorcycle-other-camera", "motorcycle_right.png", (relit,), frozenset({"motorcycle"}), "motorcycle-red"
    ),
    SampleFrame("motorcycle-flipped", "motorcycle_left.png", (flipped,), frozenset({"motorcycle"}), "motorcycle-red"),
    SampleFrame("motorcycle-phone", "motorcycle_left.png", (phone_frame,), frozenset({"motorcycle"}), "motorcycle-red"),
    SampleFrame("cat", "chelsea.png", (relit,), frozenset({"cat"}), None),
    SampleFrame("astronaut", "astronaut.png", (cropped,), frozenset({"person"}), None),
)

DRAWN = (
    SampleFrame("helmet-drawn", "astronaut.png", (flipped,), frozenset(), "helmet-white", Box(0.02, 0.66, 0.44, 0.99)),
    SampleFrame("tripod-drawn", "camera.png", (relit,), frozenset(), "tripod-wood", Box(0.46, 0.22, 0.79, 0.93)),
    SampleFrame("galaxies-drawn", "hubble_deep_field.jpg", (cropped, flipped), frozenset(), "galaxy-poster", _WHOLE),
    SampleFrame("rocket-drawn", "rocket.jpg", (unaltered,), frozenset(), "rocket-print", Box(0.1, 0.05, 0.9, 0.98)),
)
