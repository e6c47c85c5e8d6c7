"""A setting that is wrong is named as a person sets it, and a secret is not shown."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from framelens_gateway.settings import GatewaySettings
from framelens_gateway.settings_faults import settings_faults


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"max_in_flight": "0"},
            "FRAMELENS_MAX_IN_FLIGHT or --max-in-flight is '0': input should be greater than or equal to 1",
        ),
        (
            {"log_level": "loud", "grpc_port": "x"},
            "FRAMELENS_GRPC_PORT or --grpc-port is 'x': input should be a valid integer, unable to parse string as an "
            "integer\n"
            "FRAMELENS_LOG_LEVEL or --log-level is 'loud': input should be 'debug', 'info', 'warning' or 'error'",
        ),
        ({"milvus_token": 12345}, "FRAMELENS_MILVUS_TOKEN or --milvus-token: input should be a valid string"),
        ({"tokens": [""]}, "FRAMELENS_TOKENS or --tokens: value should have at least 1 item after validation, not 0"),
        (
            {"milvus_uri": "http://root:hush@127.0.0.1:19530"},
            "FRAMELENS_MILVUS_URI or --milvus-uri: a user and password do not belong in the URI; set "
            "FRAMELENS_MILVUS_TOKEN to user:password",
        ),
        ({"unknown": "x"}, "unknown: extra inputs are not permitted"),
    ],
)
def test_faults(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        GatewaySettings(**wrong)
    assert settings_faults(refused.value, GatewaySettings) == said


def test_no_secret_in_a_list_is_shown() -> None:
    with pytest.raises(ValidationError) as refused:
        GatewaySettings(tokens=["good", 12345])
    assert "12345" not in settings_faults(refused.value, GatewaySettings)


def test_the_gateway_ends_with_them() -> None:
    command = [Path(sys.executable).with_name("framelens-gateway"), "--max-in-flight=0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "framelens-gateway: FRAMELENS_MAX_IN_FLIGHT or --max-in-flight is '0': "
        "input should be greater than or equal to 1\n"
    )


@pytest.mark.parametrize(
    ("program", "variable", "value", "said"),
    [
        ("framelens-gateway", "FRAMELENS_TOKENS", "hush", 'it is written in JSON, such as ["TOKEN"] or {"M": 32}'),
        ("framelens-gateway", "FRAMELENS_TOKENS", '[""]', "FRAMELENS_TOKENS or --tokens: "),
        ("framelens-gateway", "FRAMELENS_MILVUS_URI", "http://root:hush@127.0.0.1", "FRAMELENS_MILVUS_URI or "),
        ("framelens-stack", "FRAMELENS_STACK_GRPC_PORT", "abc", "FRAMELENS_STACK_GRPC_PORT or --grpc-port is 'abc': "),
    ],
)
def test_a_process_ends_with_its_wrong_setting_and_shows_no_secret(
    program: str, variable: str, value: str, said: str
) -> None:
    command = [Path(sys.executable).with_name(program), "--print-config"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, variable: value})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{program}: ")
    assert said in done.stderr
    assert "hush" not in done.stderr
    assert "Traceback" not in done.stderr
