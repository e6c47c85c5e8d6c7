from pathlib import Path

from PIL import Image

from framelens_engines.progress import Reporter
from framelens_engines.samples import extract_samples


def test_the_known_pictures_are_there_and_open(samples: Path) -> None:
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg", "retina.jpg"):
        with Image.open(samples / name) as picture:
            picture.load()
            assert min(picture.size) >= 300


def test_extracting_again_touches_nothing_but_what_is_missing(tmp_path: Path, wheels: Path, quiet: Reporter) -> None:
    first = extract_samples(tmp_path, wheels, quiet)
    times = {path: path.stat().st_mtime_ns for path in first}
    first[0].unlink()
    first[1].write_bytes(b"cut short")
    assert extract_samples(tmp_path, wheels, quiet) == first
    assert all(path.stat().st_mtime_ns == times[path] for path in first[2:])
    assert first[0].is_file()
    assert first[1].stat().st_size > 100
    assert sorted(tmp_path.iterdir()) == first
