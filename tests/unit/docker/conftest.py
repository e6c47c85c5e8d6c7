"""What docker/ holds, without Docker; sibling modules are found through this folder."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from composed import CPU, ENVIRONMENT, GPU, Compose


@pytest.fixture(scope="session")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Compose:
    return Compose(tmp_path_factory.mktemp("compose"))


@pytest.fixture(scope="session")
def gpu(compose: Compose) -> dict[str, Any]:
    return compose.config(GPU, ENVIRONMENT)


@pytest.fixture(scope="session")
def cpu(compose: Compose) -> dict[str, Any]:
    return compose.config(CPU, ENVIRONMENT)


@pytest.fixture(params=["gpu", "cpu"])
def composed(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each of the two in turn."""
    return dict(request.getfixturevalue(request.param))
