"""The frames of the demo: altered pictures, and what each must lead to."""

from dataclasses import dataclass

from framelens_client import Box
from framelens_perf.alterations import Alteration, cropped, flipped, phone_frame, relit, unaltered

# The label of a region that is drawn: nothing is detected there.
DRAWN_LABEL = "(region drawn by hand)"
_WHOLE = Box(0.0, 0.0, 1.0, 1.0)
_TABLE = frozenset({"dining table"})


@dataclass(frozen=True)
class SampleFrame:
    """A frame, its main object's label, and the product that this must lead to (None: none, it is for videos)."""

    name: str
    picture: str
    alterations: tuple[Alteration, ...]
    label: str
    product: str | None
    # What else may be found in it.
    others: frozenset[str] = frozenset()
    # A box drawn by hand; nothing is detected then.
    region: Box | None = None


RECOGNISED = (
    SampleFrame("coffee-phone", "coffee.png", (phone_frame,), "cup", "mug-espresso", _TABLE),
    SampleFrame("coffee-cropped-flipped", "coffee.png", (cropped, flipped), "cup", "mug-espresso", _TABLE),
    SampleFrame("motorcycle-other-camera", "motorcycle_right.png", (relit,), "motorcycle", "motorcycle-red"),
    SampleFrame("motorcycle-flipped", "motorcycle_left.png", (flipped,), "motorcycle", "motorcycle-red"),
    SampleFrame("motorcycle-phone", "motorcycle_left.png", (phone_frame,), "motorcycle", "motorcycle-red"),
    SampleFrame("cat", "chelsea.png", (relit,), "cat", None),
    SampleFrame("astronaut", "astronaut.png", (cropped,), "person", None),
)


def _drawn(name: str, picture: str, alterations: tuple[Alteration, ...], product: str, region: Box) -> SampleFrame:
    return SampleFrame(name, picture, alterations, DRAWN_LABEL, product, region=region)


DRAWN = (
    _drawn("helmet-drawn", "astronaut.png", (flipped,), "helmet-white", Box(0.02, 0.66, 0.44, 0.99)),
    _drawn("tripod-drawn", "camera.png", (relit,), "tripod-wood", Box(0.46, 0.22, 0.79, 0.93)),
    _drawn("galaxies-drawn", "hubble_deep_field.jpg", (cropped, flipped), "galaxy-poster", _WHOLE),
    _drawn("rocket-drawn", "rocket.jpg", (unaltered,), "rocket-print", Box(0.1, 0.05, 0.9, 0.98)),
)
