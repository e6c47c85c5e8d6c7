"""docs/settings.md says what the code says."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from framelens_gateway.settings import GatewaySettings
from framelens_gateway.stack.settings import StackSettings

PAGE = (Path(__file__).parents[3] / "docs" / "settings.md").read_text()


def rows(settings: type[BaseSettings]) -> list[str]:
    """The table of a process, as the page should have it."""
    return [
        f"| `{name}` | {shown(field.default)} | {field.description or ''} |"
        for name, field in settings.model_fields.items()
        if name != "print_config"
    ]


def shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, SecretStr):
        return '`""`'
    return f"`{default}`"


@pytest.mark.parametrize("settings", [GatewaySettings, StackSettings])
def test_the_page_has_every_setting_its_default_and_what_it_is(settings: type[BaseSettings]) -> None:
    section = PAGE.partition(f"`{settings.model_config['env_prefix']}...`")[2].partition("\n## ")[0]
    table = [re.sub(r" +", " ", row) for row in section.splitlines() if row.startswith("| `")]
    assert table == [re.sub(r" +", " ", row) for row in rows(settings)]


def test_secrets_are_masked() -> None:
    assert "hush" not in GatewaySettings(tokens=["hush"], milvus_token="hush").model_dump_json()  # noqa: S106
