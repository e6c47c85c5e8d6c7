"""The threshold holds off what is unrelated, whatever look-alikes a catalogue has."""

import numpy as np
import pytest

from framelens_gateway.unnamed.calibration import LEAST_PRODUCTS, calibration_of

DIMENSIONS = 64


def vectors(count: int, seed: int = 1, kinship: float = 0.5) -> np.ndarray:
    """Unrelated ones that have something in common, as pictures of a catalogue have."""
    draw = np.random.default_rng(seed)
    common = draw.normal(size=DIMENSIONS)
    mixed = kinship * common + draw.normal(size=(count, DIMENSIONS))
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def variants(of: np.ndarray, each: int) -> np.ndarray:
    draw = np.random.default_rng(2)
    like = np.repeat(of, each, axis=0) + draw.normal(0, 0.3 / DIMENSIONS**0.5, (len(of) * each, DIMENSIONS))
    return (like / np.linalg.norm(like, axis=1, keepdims=True)).astype(np.float32)


def false_alarms(catalogue: np.ndarray, threshold: float, boxes: int) -> float:
    """Share of pictures, each of so many unrelated boxes, with one that reaches it."""
    queries = vectors(2000 * boxes + len(catalogue), kinship=0.5)[len(catalogue) :]
    best = (queries @ catalogue.T).max(axis=1).reshape(2000, boxes).max(axis=1)
    return float((best >= threshold).mean())


@pytest.mark.parametrize("products", [40, 200])
@pytest.mark.parametrize("boxes", [2, 6])
def test_false_alarms_keep_to_their_share(products: int, boxes: int) -> None:
    catalogue = vectors(products)
    calibration = calibration_of(list(catalogue), products)
    assert calibration is not None
    for share in (0.02, 0.1):
        assert false_alarms(catalogue, calibration.threshold(boxes, share), boxes) <= share


def test_variants_of_each_product_hardly_move_it() -> None:
    plain = vectors(60)
    alone, among = (calibration_of(list(each), 240) for each in (plain, variants(plain, 4)))
    assert alone is not None
    assert among is not None
    assert among.threshold(6, 0.02) == pytest.approx(alone.threshold(6, 0.02), abs=0.03)


def test_it_grows_with_products_boxes_and_care() -> None:
    sample = list(vectors(100))
    small, large = calibration_of(sample, 100), calibration_of(sample, 10_000)
    assert small is not None
    assert large is not None
    assert small.threshold(6, 0.02) < large.threshold(6, 0.02)
    assert small.threshold(2, 0.02) < small.threshold(6, 0.02)
    assert small.threshold(6, 0.1) < small.threshold(6, 0.02)


def test_too_few_products_say_nothing() -> None:
    assert calibration_of([], 0) is None
    assert calibration_of(list(vectors(LEAST_PRODUCTS - 1)), LEAST_PRODUCTS - 1) is None
