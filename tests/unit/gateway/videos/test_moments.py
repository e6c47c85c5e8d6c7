"""What stands out is a moment, and the button does not flicker."""

from pathlib import Path

import pytest

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.routing import Routing
from framelens_gateway.videos.moments import MomentPolicy, Moments

LARGE = (0.3, 0.3, 0.7, 0.8)


def track(
    start_s: float,
    end_s: float,
    label: str = "cup",
    score: float = 0.9,
    box: tuple[float, ...] = LARGE,
    number: int = 0,
) -> pb.Track:
    place = pb.Box(x_min=box[0], y_min=box[1], x_max=box[2], y_max=box[3])
    return pb.Track(
        number=number,
        label=label,
        score=score,
        at_s=start_s,
        box=place,
        picture_id=f"{number:032x}",
        sightings=[pb.Sighting(at_s=at_s, box=place, score=score) for at_s in (start_s, end_s)],
    )


def video(*tracks: pb.Track, duration_s: float = 100.0) -> pb.StoredVideo:
    return pb.StoredVideo(video=pb.Video(id="v"), duration_s=duration_s, tracks=tracks)


def button(found: pb.VideoMoments) -> list[tuple[float, float]]:
    return [(span.start_s, span.end_s) for span in found.button]


def test_a_moment_says_what_and_where_and_when(moments: Moments) -> None:
    found = moments.of(video(track(5, 9, "cat", number=2), track(1, 4, "cup", number=1)))
    assert [(each.label, each.route, each.start_s, each.end_s) for each in found.moments] == [
        ("cup", "products", 1, 4),
        ("cat", "videos", 5, 9),
    ]
    assert found.video_id == "v"
    assert found.moments[0].picture_id == f"{1:032x}"
    assert 0.45 <= found.moments[0].salience <= 1


@pytest.mark.parametrize(
    "dull",
    [
        track(1, 1.5),
        track(1, 9, score=0.4),
        track(1, 9, score=0.55),
        track(1, 9, box=(0.5, 0.5, 0.53, 0.53)),
        track(1, 9, label="traffic light"),
        track(1, 2, score=0.5, box=(0.0, 0.0, 0.06, 0.06)),
    ],
    ids=["short", "doubtful", "large and doubtful", "small", "dull label", "a little of each"],
)
def test_what_does_not_stand_out_is_none(moments: Moments, dull: pb.Track) -> None:
    found = moments.of(video(dull))
    assert not found.moments
    assert not found.button


def test_what_is_small_need_not_be_so_certain(moments: Moments) -> None:
    assert moments.of(video(track(1, 9, "car", score=0.55, box=(0.4, 0.4, 0.5, 0.5)))).moments


def test_salience_grows_with_each_of_its_parts(moments: Moments) -> None:
    plain = moments.rules.salience_of(track(1, 3, score=0.6, box=(0.1, 0.1, 0.25, 0.25)))
    for better in (
        track(1, 3, score=0.8, box=(0.1, 0.1, 0.25, 0.25)),
        track(1, 5, score=0.6, box=(0.1, 0.1, 0.25, 0.25)),
        track(1, 3, score=0.6, box=(0.425, 0.425, 0.575, 0.575)),
        track(1, 3, score=0.6, box=(0.1, 0.1, 0.3, 0.3)),
    ):
        assert moments.rules.salience_of(better) > plain


def test_moments_with_little_between_them_are_one_span_of_the_button(moments: Moments) -> None:
    found = moments.of(video(track(1, 4), track(3, 5), track(6.5, 8), track(20, 23)))
    assert button(found) == [(1, 8), (20, 23)]


def test_the_button_shows_long_enough_to_be_tapped_but_not_past_the_end(moments: Moments) -> None:
    assert button(moments.of(video(track(1, 2)))) == [(1, 2.5)]
    assert button(moments.of(video(track(99, 99.9), duration_s=99.9))) == [(99, pytest.approx(99.9))]


def test_the_button_shows_only_so_often_and_leaves_out_what_stands_out_least(moments: Moments) -> None:
    tracks = [track(8 * n, 8 * n + 4, score=0.95 - 0.02 * n) for n in range(9)]
    assert [start for start, _ in button(moments.of(video(*tracks)))] == [0, 8, 16, 24, 32, 40, 64]


def test_a_policy_of_ones_own(tmp_path: Path, moments: Moments) -> None:
    text = (Path(__file__).parents[4] / "gateway/framelens_gateway/videos/moments.yaml").read_text()
    file = tmp_path / "policy.yaml"
    file.write_text(text.replace("traffic light: 0", "traffic light: 1"))
    own = Moments.by(MomentPolicy.load(file), Routing.load(None))
    assert own.of(video(track(1, 9, label="traffic light"))).moments
    assert own.policy != moments.policy


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("salience: 3", "salience"),
        ("[", "is not YAML"),
        ("button: {bridge_s: -1, least_s: 0, most_per_minute: 0}", "button"),
    ],
)
def test_a_wrong_policy_names_the_file_and_the_fault(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match="policy file") as caught:
        MomentPolicy.load(file)
    assert str(file) in str(caught.value)
    assert says in str(caught.value)


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        MomentPolicy.load(tmp_path / "none.yaml")
