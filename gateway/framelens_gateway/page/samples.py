"""Sample pictures and videos that the page offers: those of a folder that a list names, or all that are there."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError, computed_field

from framelens_client.reasons import Reason
from framelens_gateway.errors import GatewayError

_KINDS: dict[str, Literal["picture", "video"]] = {
    ".png": "picture",
    ".jpg": "picture",
    ".webm": "video",
    ".mp4": "video",
}
_MOST = 24
_LIST = "samples.yaml"


def _file_name(name: str) -> str:
    """A list cannot reach out of its folder."""
    if Path(name).name != name or Path(name).suffix not in _KINDS:
        raise ValueError(f"it must be the name of a file, ending in {', '.join(_KINDS)}")
    return name


class Sample(BaseModel):
    """A file of the folder; `video_id` is that of the index, where the video is there already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, AfterValidator(_file_name)]
    title_en: str
    title_zh: str = ""
    video_id: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def kind(self) -> Literal["picture", "video"]:
        return _KINDS[Path(self.name).suffix]


_ENTRIES = TypeAdapter(list[Sample])


class Samples:
    """Looks anew each time, because a demo adds videos while the gateway runs."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def listed(self) -> list[Sample]:
        """Those of the folder's own `samples.yaml`; without one, those of the packaged list and every video.

        Where there is none of these, every file that a browser shows, up to 24. Raises GatewayError.
        """
        if self.folder is None or not self.folder.is_dir():
            return []
        own = self.folder / _LIST
        there = {file.name for file in self.folder.iterdir() if file.suffix in _KINDS and file.is_file()}
        if own.is_file():
            return [sample for sample in _read(own) if sample.name in there]
        curated = [sample for sample in _read(Path(__file__).with_name(_LIST)) if sample.name in there]
        others = there - {sample.name for sample in curated}
        more = [_untitled(name) for name in sorted(others) if not curated or _KINDS[Path(name).suffix] == "video"]
        return (curated + more)[:_MOST]


def _read(listing: Path) -> list[Sample]:
    try:
        return _ENTRIES.validate_python(yaml.safe_load(listing.read_text()))
    except (ValidationError, yaml.YAMLError) as error:
        raise GatewayError(Reason.INTERNAL, f"{listing} is no list of samples: {error}") from error


def _untitled(name: str) -> Sample:
    return Sample(name=name, title_en=Path(name).stem.replace("_", " "))
