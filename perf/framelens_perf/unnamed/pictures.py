"""The pictures of the evaluation: cut-outs of goods, and photographs that show none of them.

They are named one by one, because the packages hold drawings, diagrams and patterns as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

_STAMPS = Path("usr/share/tuxpaint/stamps")
# Folders of stamps that are goods, and the drawings among them.
_GOODS = (
    "clothes", "food", "food/fruit", "food/nuts", "food/spices", "food/vegetables", "hobbies", "hobbies/music/brass",
    "hobbies/music/percussion", "hobbies/music/string", "hobbies/music/wind", "household", "household/arttools",
    "household/dishes", "household/dishes/utensils", "household/tools", "medical", "people/toys", "plants/mushrooms",
    "seasonal/christmas", "sports", "town", "vehicles", "vehicles/auto", "vehicles/construction", "vehicles/cycle",
    "vehicles/emergency", "vehicles/flight", "vehicles/flight/planes", "vehicles/masstransit", "vehicles/race",
    "vehicles/ship",
)  # fmt: skip
_DRAWN = frozenset(
    (
        "Santa", "bow", "button", "candy_cane", "hard_candy", "lamp", "pizza", "rugby_goal_posts", "santahat", "star",
        "stocking", "t_baseballcap", "t_glove", "t_jacket", "t_pants", "t_poloshirt", "t_scarf", "t_shirt", "t_sock",
        "t_tshirt", "tooth", "tree", "xmas_tp_bulb",
    )
)  # fmt: skip
_OPENCV = Path("usr/share/doc/opencv-doc/examples")
_BACKGROUNDS = Path("usr/share/backgrounds")
# Left out, because the goods are of their kind: apple, orange, fruits.
_PHOTOGRAPHS = {
    _OPENCV / "data": (
        "aero1.jpg", "aloeL.jpg", "baboon.jpg", "basketball1.png", "board.jpg", "box_in_scene.png", "building.jpg",
        "butterfly.jpg", "chicky_512.png", "ela_original.jpg", "graf1.png", "home.jpg", "left.jpg", "left01.jpg",
        "leuvenA.jpg", "licenseplate_motion.jpg", "rubberwhale1.png", "squirrel_cls.jpg", "stuff.jpg", "sudoku.png",
    ),
    _OPENCV / "hfs/data": ("000.jpg", "001.jpg", "002.jpg"),
    _OPENCV / "reg": ("home.png",),
    _BACKGROUNDS: (
        "Bridge_by_Sander_Klootwijk.jpg", "Dragonfly_by_Bolly.jpg", "Picture_0B_by_freespace.jpg",
        "Picture_1A_by_freespace.jpg", "Wine_by_Jakkub_Mede.jpg", "aitzgorri_by_Aitzol_Berasategi.jpg",
        "free_by_Peter_Nerlich.jpg", "friends_by_Aitzol_Berasategi.jpg", "greentock_by_Peter_Nerlich.jpg",
        "life_by_Aitzol_Berasategi.jpg", "picosdeeuropa_by_Aitzol_Berasategi.jpg",
        "seeding_by_Clements_Engelhardt.jpg", "sunset_by_Aitzol_Berasategi.jpg",
    ),
    _BACKGROUNDS / "mate/nature": (
        "Aqua.jpg", "Dune.jpg", "FreshFlower.jpg", "Garden.jpg", "GreenMeadow.jpg", "LadyBird.jpg", "RainDrops.jpg",
        "Storm.jpg", "TwoWings.jpg", "Wood.jpg", "YellowFlower.jpg",
    ),
    Path("usr/share/tuxpaint/templates"): (
        "burnt_bark.jpg", "cliff.jpg", "corn_maze.jpg", "jellyfish.jpg", "lighthouse.jpg", "mossy_log.jpg",
        "mudstone.jpg", "ocean_splash.jpg", "ocean_waves.jpg", "redwoods_above.jpg", "rocks.jpg", "sheep.jpg",
        "spiders_web.jpg", "sun_behind_clouds.jpg", "sun_behind_leaves.jpg", "trees_above.jpg", "trees_at_dusk.jpg",
        "wool_mill_machine.jpg",
    ),
}  # fmt: skip
# No constant was chosen with these.
_PLASMA = Path("usr/share/wallpapers")
_HELD_OUT = (
    "BytheWater", "ColdRipple", "ColorfulCups", "DarkestHour", "EveningGlow", "FallenLeaf", "Grey", "Kite",
    "OneStandsOut", "Path", "Shell", "summer_1am",
)  # fmt: skip
SAMPLES = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png", "moon.png",
    "motorcycle_left.png", "rocket.jpg",
)  # fmt: skip
# With fewer pixels than this there is nothing that a shop would show.
_LEAST_SIDE = 60
_LARGEST_CUT_OUT = 800
# The longer side of a frame, and the least that a part of a photograph keeps of it.
_FRAME_SIDE = 1280
_LEAST_PART_SIDE = 480


@dataclass(frozen=True)
class CutOut:
    """A product: its picture, RGBA, without empty margins."""

    name: str
    picture: Image.Image


@dataclass(frozen=True)
class Photograph:
    """A photograph, or a part of one, RGB; parts of one photograph have its `source`."""

    source: str
    name: str
    picture: Image.Image


def cut_outs(root: Path) -> list[CutOut]:
    """Every good among the stamps, in the order of its name."""
    files = [file for folder in _GOODS for file in (root / _STAMPS / folder).glob("*.png") if file.stem not in _DRAWN]
    found = [CutOut(_name(root, file), picture) for file in files if (picture := _cut_out(file)) is not None]
    return sorted(found, key=lambda cut_out: cut_out.name)


def photographs(root: Path, samples: Path) -> Iterator[Photograph]:
    """Those that the constants of recognizer and gateway were chosen with."""
    files = [root / folder / name for folder, names in _PHOTOGRAPHS.items() for name in names]
    for file in (*files, *(samples / name for name in SAMPLES)):
        yield from _views(file.stem, file)


def held_out_photographs(root: Path) -> Iterator[Photograph]:
    """Those that nothing was chosen with."""
    for name in _HELD_OUT:
        sizes = (root / _PLASMA / name / "contents/images").glob("*.jpg")
        yield from _views(name, max(sizes, key=lambda file: int(file.stem.partition("x")[0])))


def _views(source: str, file: Path) -> Iterator[Photograph]:
    """The photograph, and its four quarters where they are large enough to be frames."""
    with Image.open(file) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    for part, box in _parts(picture):
        frame = picture.crop(box)
        frame.thumbnail((_FRAME_SIDE, _FRAME_SIDE))
        yield Photograph(source, f"{source}-{part}", frame)


def _name(root: Path, file: Path) -> str:
    return str(file.relative_to(root / _STAMPS).with_suffix("")).replace("/", "-")


def _cut_out(file: Path) -> Image.Image | None:
    with Image.open(file) as opened:
        picture = opened.convert("RGBA")
    box = picture.getchannel("A").point(lambda alpha: 255 if alpha > 32 else 0).getbbox()
    if box is None or max(box[2] - box[0], box[3] - box[1]) < _LEAST_SIDE:
        return None
    picture = picture.crop(box)
    picture.thumbnail((_LARGEST_CUT_OUT, _LARGEST_CUT_OUT))
    return picture


def _parts(picture: Image.Image) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    width, height = picture.size
    yield "whole", (0, 0, width, height)
    half = width // 2, height // 2
    if min(half) >= _LEAST_PART_SIDE:
        for at, (left, top) in enumerate(((0, 0), (half[0], 0), (0, half[1]), half)):
            yield f"quarter-{at + 1}", (left, top, left + half[0], top + half[1])
