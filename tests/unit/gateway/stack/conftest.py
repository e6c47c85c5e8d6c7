"""Ports for the processes of the stack's tests."""

from collections.abc import Callable

import pytest
from gateway_fakes import free_port


@pytest.fixture
def unused() -> Callable[[], int]:
    return free_port
