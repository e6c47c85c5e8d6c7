"""Asks a server's version, by its number, what it must know."""

import numpy as np

from framelens_engines.errors import SwapError
from framelens_engines.evaluation.golden import GOLDEN_FILE, difference, read_golden
from framelens_engines.model_config import read_shape
from framelens_engines.probe_pictures import probe_pictures
from framelens_engines.repository import EngineVersion
from framelens_engines.server import TritonServer
from framelens_engines.tensors import BUILD


def expect_answers(server: TritonServer, model: str, version: EngineVersion) -> None:
    """Raises ServerError, or SwapError where `model` does not answer as the version did when it was validated."""
    shape = read_shape(version.folder.parent)
    build = server.ask(model, version.version, probe_pictures(shape.height, shape.width)[:1])[BUILD]
    if not bool((build == version.record.build).all()):
        found = sorted(set(np.asarray(build).ravel().tolist()))
        raise SwapError(
            f"{server.name}: {model}/{version.version} answers as build {found} and {version.name} is build"
            f" {version.record.build}; does that server read another model repository?"
        )
    if (version.folder / GOLDEN_FILE).is_file():
        golden = read_golden(version.folder)
        if found_difference := difference(server.ask(model, version.version, golden.images), golden):
            raise SwapError(
                f"{server.name}: {model}/{version.version} answers a golden query wrong: {found_difference}"
            )
