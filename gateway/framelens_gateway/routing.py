"""Label routing: which index answers for which label, from a small YAML file."""

from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from framelens_gateway.settings_faults import file_faults

# Of boxes that the detector has no name for; only the catalogue can say what they are.
UNNAMED_LABEL = "object"


class Route(StrEnum):
    """A live name in the index; each is an alias."""

    PRODUCTS = "products"
    VIDEOS = "videos"


class _RoutingFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    default: Route
    routes: dict[Route, list[str]] = {}


@dataclass(frozen=True)
class Routing:
    """The route of every label."""

    default: Route
    by_label: dict[str, Route]

    @classmethod
    def load(cls, path: Path | None) -> "Routing":
        """Reads a routing file, the packaged one for None. Raises ValueError, naming the file and what is wrong."""
        try:
            text = (path or files("framelens_gateway") / "routing.yaml").read_text(encoding="utf-8")
            read = _RoutingFile.model_validate(yaml.safe_load(text))
        except OSError as error:
            raise ValueError(f"routing file {path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise ValueError(f"routing file {path or 'routing.yaml'}: {file_faults(error)}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"routing file {path or 'routing.yaml'} is not YAML: {error}") from error
        by_label: dict[str, Route] = {}
        for route, labels in read.routes.items():
            for label in labels:
                if by_label.setdefault(label, route) is not route:
                    raise ValueError(f"routing file {path}: label {label} has two routes; leave it in one")
        return cls(read.default, by_label)

    def of(self, label: str) -> Route:
        return Route.PRODUCTS if label == UNNAMED_LABEL else self.by_label.get(label, self.default)
