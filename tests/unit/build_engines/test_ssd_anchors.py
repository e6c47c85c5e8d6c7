import numpy as np

from framelens_engines.ssd_anchors import ssd_anchors

MAPS = [(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]


def test_the_anchors_of_a_300_pixel_input() -> None:
    anchors = ssd_anchors(MAPS)
    assert anchors.shape == (1917, 4)
    assert np.allclose(anchors[0], [0.5 / 19, 0.5 / 19, 0.1, 0.1])
    assert np.allclose(anchors[1, 2:], [0.2 / np.sqrt(2), 0.2 * np.sqrt(2)])
    # The last map's six shapes: five aspects at the largest scale, then between it and 1.
    assert np.allclose(anchors[-6:, :2], 0.5)
    assert np.allclose(anchors[-2, 2:], [0.95 / np.sqrt(0.3333), 0.95 * np.sqrt(0.3333)])
    assert np.allclose(anchors[-1, 2:], np.sqrt(0.95))
