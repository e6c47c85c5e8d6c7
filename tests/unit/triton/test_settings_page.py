"""docs/settings.md says what the code says."""

import re
from pathlib import Path

from framelens_triton.settings import TritonSettings

PAGE = (Path(__file__).parents[3] / "docs" / "settings.md").read_text()


def shown(default: object) -> str:
    return "" if default is None else f"`{default}`"


def test_the_page_has_every_setting_its_default_and_what_it_is() -> None:
    section = PAGE.partition("`FRAMELENS_TRITON_...`")[2].partition("\n## ")[0]
    table = [re.sub(r" +", " ", row) for row in section.splitlines() if row.startswith("| `")]
    assert table == [
        re.sub(r" +", " ", f"| `{name}` | {shown(field.default)} | {field.description or ''} |")
        for name, field in TritonSettings.model_fields.items()
        if name != "print_config"
    ]
