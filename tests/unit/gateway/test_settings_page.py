"""docs/settings.md says what the code says."""

from pathlib import Path

import pytest

from framelens_gateway.settings import GatewaySettings
from framelens_gateway.stack.settings import StackSettings

PAGE = (Path(__file__).parents[3] / "docs" / "settings.md").read_text()


@pytest.mark.parametrize("settings", [GatewaySettings, StackSettings])
def test_every_setting_is_on_the_page(settings: type[GatewaySettings | StackSettings]) -> None:
    for name, field in settings.model_fields.items():
        if name != "print_config":
            assert f"| `{name}` |" in PAGE
            assert field.description is None or field.description in PAGE


def test_secrets_are_masked() -> None:
    assert "hush" not in GatewaySettings(tokens=["hush"], milvus_token="hush").model_dump_json()  # noqa: S106
