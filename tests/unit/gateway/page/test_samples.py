"""Which samples the page offers."""

from pathlib import Path

import pytest

from framelens_client.reasons import Reason
from framelens_gateway.errors import GatewayError
from framelens_gateway.page.samples import Samples


def names(folder: Path | None) -> list[str]:
    return [sample.name for sample in Samples(folder).listed()]


def touch(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).touch()


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    assert names(None) == names(tmp_path) == names(tmp_path / "missing") == []


def test_the_packaged_list_shows_what_is_there_and_every_video(tmp_path: Path) -> None:
    touch(tmp_path, "chelsea.png", "coffee.png", "brick.png", "kitchen.webm", "notes.txt")
    assert names(tmp_path) == ["coffee.png", "chelsea.png", "kitchen.webm"]
    cup, _, video = Samples(tmp_path).listed()
    assert (cup.kind, cup.title_en, cup.title_zh) == ("picture", "Espresso", "浓缩咖啡")
    assert (video.kind, video.title_en, video.video_id) == ("video", "kitchen", "")


def test_of_other_files_those_that_a_browser_shows(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{number:02}.png" for number in range(30)), "scan.tiff")
    assert names(tmp_path) == [f"{number:02}.png" for number in range(24)]


def test_a_list_in_the_folder_counts_alone(tmp_path: Path) -> None:
    touch(tmp_path, "coffee.png", "kitchen.webm")
    listing = "- {name: kitchen.webm, title_en: A kitchen, video_id: kitchen-1}\n- {name: gone.png, title_en: Gone}\n"
    (tmp_path / "samples.yaml").write_text(listing)
    (kitchen,) = Samples(tmp_path).listed()
    assert kitchen.model_dump() == {
        "name": "kitchen.webm",
        "kind": "video",
        "title_en": "A kitchen",
        "title_zh": "",
        "video_id": "kitchen-1",
    }


@pytest.mark.parametrize(
    "listing",
    [
        "- {name: ../secret.png, title_en: x}",
        "- {name: /etc/passwd, title_en: x}",
        "- {name: page.html, title_en: x}",
        "- {name: a.png}",
        "- {name: a.png, title_en: x, colour: red}",
        "name: a.png",
        "- [",
        "",
    ],
)
def test_a_list_that_is_wrong_is_said(tmp_path: Path, listing: str) -> None:
    (tmp_path / "samples.yaml").write_text(listing)
    with pytest.raises(GatewayError, match=r"samples\.yaml is no list of samples") as caught:
        names(tmp_path)
    assert caught.value.reason is Reason.INTERNAL
