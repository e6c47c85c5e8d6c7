from framelens_engines.coco import LABELS

from .conftest import REPO


def test_a_label_stands_at_its_id_less_one() -> None:
    expected = {1: "person", 17: "cat", 44: "bottle", 47: "cup", 63: "couch", 77: "cell phone", 90: "toothbrush"}
    assert {number: LABELS[number - 1] for number in expected} == expected
    unused = [number for number, label in enumerate(LABELS, start=1) if label == f"unused_{number}"]
    assert unused == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert len(set(LABELS)) == 90


def test_the_repository_has_them() -> None:
    assert tuple((REPO / "model_repository/detector/labels.txt").read_text().splitlines()) == LABELS
