"""What is wrong with a process's settings, in the names by which a person sets them."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar, get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, CliApp, SettingsError

Settings = TypeVar("Settings", bound=BaseSettings)


def settings_or_exit(settings: type[Settings], program: str) -> Settings:
    """A process's settings from its environment and its flags; where one is wrong, the process ends with its name."""
    try:
        return CliApp.run(settings)
    except ValidationError as error:
        sys.exit(f"{program}: {settings_faults(error, settings)}")
    except SettingsError as error:
        sys.exit(f'{program}: {error}: it is written in JSON, such as ["TOKEN"] or {{"M": 32}}')


def settings_faults(error: ValidationError, settings: type[BaseSettings]) -> str:
    """One line for each setting: its variable and flag, its value unless it is a secret, and what is needed."""
    return "\n".join(_fault(detail, settings) for detail in error.errors(include_url=False))


def file_faults(error: ValidationError) -> str:
    """The same for a file: where in it, what stands there, and what is needed."""
    return "; ".join(
        f"{'.'.join(map(str, detail['loc'])) or 'the file'}{_value(detail)}: {_needed(detail)}"
        for detail in error.errors(include_url=False)
    )


def _fault(detail: ErrorDetails, settings: type[BaseSettings]) -> str:
    name = str(detail["loc"][0]) if detail["loc"] else ""
    field = settings.model_fields.get(name)
    if field is None:
        return f"{name or 'the settings'}: {_needed(detail)}"
    variable, flag = f"{settings.model_config['env_prefix']}{name.upper()}", f"--{name.replace('_', '-')}"
    return f"{variable} or {flag}{'' if _is_secret(field) else _value(detail)}: {_needed(detail)}"


def _value(detail: ErrorDetails) -> str:
    return f" is {detail['input']!r}" if isinstance(detail["input"], str | int | float) else ""


def _needed(detail: ErrorDetails) -> str:
    words = detail["msg"].removeprefix("Value error, ")
    return words[:1].lower() + words[1:]


def _is_secret(field: FieldInfo) -> bool:
    return not field.repr or SecretStr in _types(field.annotation)


def _types(annotation: Any) -> Iterable[Any]:  # noqa: ANN401
    yield annotation
    for part in get_args(annotation):
        yield from _types(part)
