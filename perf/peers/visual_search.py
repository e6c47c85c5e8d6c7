"""What every peer serves: the stages of recognition on the same engines, and a search among vectors in memory.

The servers beside this file differ in how requests reach it, and in nothing else.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic_settings import BaseSettings, SettingsConfigDict

from framelens_triton.images.resize import Pixels
from framelens_triton.models import ModelRepository
from framelens_triton.onnx_session import onnx_session
from framelens_triton.recognition import Recognition, Recognizer, Request

_GALLERY_ROWS, _GALLERY_COLUMNS = 10_000, 1280
_TOP_K = 10
CORES = os.cpu_count() or 1


class PeerSettings(BaseSettings):
    """What a peer is started with, from variables that begin with PEER_; each peer adds its own, at their best."""

    model_config = SettingsConfigDict(env_prefix="PEER_", frozen=True, protected_namespaces=())

    detector_engine: Path
    embedder_engine: Path
    host: str = "127.0.0.1"
    port: int = 8000
    # Processes that each hold the engines.
    workers: int = CORES
    # Threads of one engine's call.
    session_threads: int = 1


class VisualSearch:
    """Answers batches of encoded pictures; may be called from several threads."""

    def __init__(self, settings: PeerSettings) -> None:
        self._detector, self._embedder = (
            _model_of(engine) for engine in (settings.detector_engine, settings.embedder_engine)
        )
        engines = _OnnxEngines([settings.detector_engine, settings.embedder_engine], settings.session_threads)
        # As many threads for pictures as for an engine: a worker keeps to its share of the cores.
        repository = ModelRepository(settings.detector_engine.parents[2])
        self._recognizer = Recognizer(repository, engines, settings.session_threads)
        self._gallery = _gallery()

    def answers(self, pictures: Sequence[bytes]) -> list[dict[str, Any]]:
        """Boxes, labels and scores of each picture. Raises PictureError, which no picture of a measurement causes."""
        requests = [Request(picture, self._detector, self._embedder) for picture in pictures]
        results, _ = self._recognizer.recognize(requests)
        for result in results:
            if result.error is not None:
                raise result.error
        self._matches(results)
        return [_answer(result) for result in results]

    def _matches(self, results: Sequence[Recognition]) -> list[npt.NDArray[np.intp]]:
        """The rows of the gallery that are nearest to each object, best first; computed for its cost, not answered."""
        embeddings = [found.embedding for result in results for found in result.objects]
        if not embeddings:
            return []
        scores = np.stack(embeddings) @ self._gallery
        nearest = np.argpartition(-scores, _TOP_K, axis=1)[:, :_TOP_K]
        return [rows[np.argsort(-of[rows])] for rows, of in zip(nearest, scores, strict=True)]


class _OnnxEngines:
    """The engines of one process, by model."""

    def __init__(self, engines: Sequence[Path], threads: int) -> None:
        self._sessions = {_model_of(engine): onnx_session(engine, threads) for engine in engines}

    def infer(self, model: str, images: Pixels, outputs: Sequence[str]) -> dict[str, npt.NDArray[np.generic]]:
        return dict(zip(outputs, self._sessions[model].run(list(outputs), {"images": images}), strict=True))


def _model_of(engine: Path) -> str:
    """Of a path REPOSITORY/MODEL/VERSION/model.onnx."""
    return engine.parents[1].name


def _gallery() -> npt.NDArray[np.float32]:
    """Unit vectors in columns."""
    vectors = np.random.default_rng(0).standard_normal((_GALLERY_ROWS, _GALLERY_COLUMNS), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.T


def _answer(result: Recognition) -> dict[str, Any]:
    return {
        "objects": [{"label": found.label, "score": found.score, "box": list(found.box)} for found in result.objects]
    }
