"""Where Milvus, Triton and the crops are, and the parts that talk to them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framelens_gateway.crops import CropStore
from framelens_gateway.index_admin.admin_index import AdminIndex, MilvusAdminIndex
from framelens_gateway.index_admin.errors import AdminError
from framelens_gateway.index_admin.spaces import Models, TritonModels
from framelens_gateway.recognizer import Recognizer, TritonRecognizer
from framelens_gateway.settings import GatewaySettings

_SERVE_FILE = Path("var") / "serve.json"


@dataclass(frozen=True)
class Parts:
    """What the commands work with."""

    index: AdminIndex
    recognizer: Recognizer
    models: Models
    crops: CropStore


def admin_settings(told: dict[str, Any], start: Path) -> GatewaySettings:
    """The gateway's settings: what is told, then the environment, then the stack that runs here, then the defaults.

    Raises AdminError for a serve.json that is none, ValueError for a setting that is wrong.
    """
    settings = GatewaySettings(**told)
    served = _served(start)
    missing = {name: value for name, value in served.items() if name not in settings.model_fields_set}
    return GatewaySettings(**told, **missing)


@asynccontextmanager
async def connected(settings: GatewaySettings) -> AsyncIterator[Parts]:
    index = MilvusAdminIndex(
        settings.milvus_uri,
        settings.milvus_token.get_secret_value(),
        settings.index,
        settings.milvus_timeout_s,
        settings.alias_ttl_s,
    )
    recognizer = TritonRecognizer(settings.triton_address, settings.max_picture_pixels)
    models = TritonModels(settings.triton_address)
    try:
        yield Parts(index, recognizer, models, CropStore(settings.crops_dir))
    finally:
        await models.close()
        await recognizer.close()
        await index.close()


def _served(start: Path) -> dict[str, Any]:
    """What the stack of this folder, or of one above it, uses."""
    for folder in (start, *start.parents):
        path = folder / _SERVE_FILE
        if path.is_file():
            return _read(path)
    return {}


def _read(path: Path) -> dict[str, Any]:
    try:
        served = json.loads(path.read_text(encoding="utf-8"))
        return {
            "milvus_uri": f"http://{served['milvus']}",
            "triton_address": served["triton_grpc"],
            "crops_dir": path.parent / "crops",
        }
    except (ValueError, TypeError, KeyError) as error:
        raise AdminError(f"{path} does not say where Milvus and Triton are: pass --milvus and --triton") from error
