"""What is asked: the right mix, frames that repeat by their law or never, pictures that stay what they are."""

import io
from collections import Counter

import pytest
from PIL import Image

from framelens_client.v1 import framelens_pb2 as pb
from framelens_perf.workload.traffic import RECOGNIZE, SEARCH_REGION, Mix, marked, requests


@pytest.fixture
def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_mark_changes_bytes_and_no_pixel(jpeg: bytes) -> None:
    one, other = marked(jpeg, 1), marked(jpeg, 2)
    assert one != other
    assert Image.open(io.BytesIO(one)).tobytes() == Image.open(io.BytesIO(jpeg)).tobytes()


def test_frames_come_once_and_runs_of_other_seeds_bring_others() -> None:
    marks = [request.mark for seed in (0, 1) for request in requests([b"a", b"b"], Mix(), 500, seed)]
    assert len(set(marks)) == 1000


def test_hot_frames_come_by_zipfs_law() -> None:
    counts = Counter(request.mark for request in requests([b"a"], Mix(hot_frames=100, zipf=1.0), 50_000))
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.3)
    assert max(counts) <= 99


def test_a_share_draws_a_region(jpeg: bytes) -> None:
    asked = requests([jpeg], Mix(regions=0.25), 2000)
    assert sum(request.method == SEARCH_REGION for request in asked) == pytest.approx(500, rel=0.2)
    by_method = {request.method: request for request in asked}
    region = pb.SearchRegionRequest.FromString(by_method[SEARCH_REGION].content())
    assert region.region.x_max == pytest.approx(0.8)
    assert pb.RecognizeRequest.FromString(by_method[RECOGNIZE].content()).picture.endswith(jpeg[-100:])
