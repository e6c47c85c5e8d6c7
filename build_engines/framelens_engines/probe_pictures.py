"""The pictures that every new engine is shown first."""

import numpy as np
from numpy.typing import NDArray


def probe_pictures(height: int, width: int) -> NDArray[np.uint8]:
    """Three different pictures, always the same: noise, soft blobs, and a gradient, (3, height, width, 3)."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (height, width, 3))
    blobs = np.kron(random.integers(0, 256, (8, 8, 3)), np.ones((-(-height // 8), -(-width // 8), 1)))[:height, :width]
    gradient = np.linspace(0, 255, height)[:, None, None] * np.linspace(0.2, 1, width)[None, :, None] * np.ones(3)
    pictures: NDArray[np.uint8] = np.stack([noise, blobs, gradient]).astype(np.uint8)
    return pictures
