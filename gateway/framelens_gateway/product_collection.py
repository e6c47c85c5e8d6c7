"""What a collection looks like in Milvus: its fields, its properties, its index.

Only what every Milvus has is used (Milvus Lite, standalone, cluster, GPU index): float32 vectors of length 1 and inner
product.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymilvus import DataType, MilvusClient, MilvusException

from framelens_client.reasons import Reason
from framelens_gateway.errors import InvalidRequest, Unavailable
from framelens_gateway.index_types import METRIC, needs_gpu
from framelens_gateway.milvus import LOAD_TIMEOUT_S, is_invalid_request, is_not_found
from framelens_gateway.routing import Route
from framelens_gateway.videos.rows import VIDEO_FIELDS, VIDEO_HIT_FIELDS, add_video_fields

# Longest values in bytes, as Milvus counts them.
FIELD_BYTES = {
    "product_id": 256,
    "title": 1024,
    "url": 2048,
    "merchant": 256,
    "category": 256,
    "currency": 8,
    "picture_id": 64,
    "availability": 16,
}
_ROW_ID_BYTES = FIELD_BYTES["product_id"] + 8
VECTOR_FIELD = "embedding"
# What a hit is ranked and answered with, and no more: each field of each hit costs Milvus and the gateway time.
HIT_FIELDS = (*FIELD_BYTES, "row_id", "ordinal", "price", "boost")
PRODUCT_FIELDS = (*HIT_FIELDS, "x_min", "y_min", "x_max", "y_max", "updated_at")
# Fields that collections of earlier versions lack, and what they read as there.
ADDED_FIELDS: Mapping[str, Any] = {"availability": "", "boost": 0.0}
SPACE_PROPERTY = "framelens.space"
# Whose collection it is, also while no alias stands on it.
ALIAS_PROPERTY = "framelens.alias"
# What its index is searched with depends on it, and asking for it costs Milvus Lite as much as a search.
INDEX_TYPE_PROPERTY = "framelens.index_type"


@dataclass(frozen=True)
class Plan:
    """A collection to make."""

    name: str
    alias: str
    space: str
    size: int
    index_type: str


def hit_fields_of(alias: str) -> Sequence[str]:
    """What is asked of each hit in a collection that was made for an alias."""
    return VIDEO_HIT_FIELDS if alias == Route.VIDEOS else HIT_FIELDS


def fields_of(alias: str) -> Sequence[str]:
    """All that a row has but its vector, in a collection that was made for an alias."""
    return VIDEO_FIELDS if alias == Route.VIDEOS else PRODUCT_FIELDS


def complete_collection(
    client: MilvusClient, plan: Plan, index_parameters: Mapping[str, Any], timeout_s: float
) -> None:
    """Makes and loads a collection. Each step that was done is left out: by another process, or one that died.

    Raises Unavailable where this Milvus cannot serve the type of index.
    """
    if needs_gpu(plan.index_type) and is_lite(client, timeout_s):
        # It would take the index, and break when it loads it again.
        raise _no_gpu(plan, "it is Milvus Lite")
    _make_unless(
        lambda: client.has_collection(plan.name, timeout=timeout_s),
        lambda: client.create_collection(
            plan.name,
            schema=_schema(client, plan),
            properties={
                SPACE_PROPERTY: plan.space,
                ALIAS_PROPERTY: plan.alias,
                INDEX_TYPE_PROPERTY: plan.index_type,
            },
            timeout=timeout_s,
        ),
    )
    _make_unless(
        lambda: client.list_indexes(plan.name, timeout=timeout_s),
        lambda: _create_index(client, plan, index_parameters, timeout_s),
    )
    client.load_collection(plan.name, timeout=LOAD_TIMEOUT_S)


def create_alias(client: MilvusClient, name: str, alias: str, timeout_s: float) -> None:
    """Stands a new alias on a collection, unless another process has put it here or elsewhere."""
    _make_unless(
        lambda: standing_on(client, alias, timeout_s), lambda: client.create_alias(name, alias, timeout=timeout_s)
    )


def standing_on(client: MilvusClient, alias: str, timeout_s: float) -> str | None:
    """The name of the collection behind an alias."""
    try:
        return str(client.describe_alias(alias, timeout=timeout_s)["collection_name"])
    except MilvusException as error:
        if is_not_found(error):
            return None
        raise


def space_of(described: dict[str, Any]) -> tuple[str, int]:
    """The space and vector size of a described collection. Raises Unavailable where it says no space."""
    name, properties = described["collection_name"], described.get("properties", {})
    if SPACE_PROPERTY not in properties:
        raise Unavailable(
            Reason.SPACE_MISMATCH, f"collection {name} does not say its space; set its property {SPACE_PROPERTY}"
        )
    size = next(f["params"]["dim"] for f in described["fields"] if f["name"] == VECTOR_FIELD)
    return properties[SPACE_PROPERTY], int(size)


def missing_fields(described: dict[str, Any]) -> tuple[str, ...]:
    """Of ADDED_FIELDS, those that a described collection of products lacks."""
    if described.get("properties", {}).get(ALIAS_PROPERTY) == Route.VIDEOS:
        return ()
    there = {field["name"] for field in described["fields"]}
    return tuple(name for name in ADDED_FIELDS if name not in there)


def lacking(collection: str, fields: Iterable[str], reason: Reason) -> InvalidRequest:
    """What to say where fields are asked for that a collection lacks."""
    return InvalidRequest(
        f"collection {collection} is of an earlier version and has no {' and no '.join(fields)}; move to a new one "
        "with `framelens-index rebuild products`, and drop one that is kept to go back to with `framelens-index "
        "retire products`",
        reason,
    )


def index_type_of(client: MilvusClient, name: str, timeout_s: float) -> str:
    """The type of a collection's index; empty where it has none yet."""
    for index in client.list_indexes(name, timeout=timeout_s):
        described = client.describe_index(name, index, timeout=timeout_s)
        if described and described["field_name"] == VECTOR_FIELD:
            return str(described["index_type"])
    return ""


def is_lite(client: MilvusClient, timeout_s: float) -> bool:
    return str(client.get_server_version(timeout=timeout_s)).startswith("milvus_lite")


def _create_index(client: MilvusClient, plan: Plan, parameters: Mapping[str, Any], timeout_s: float) -> None:
    indexes = client.prepare_index_params()
    indexes.add_index(VECTOR_FIELD, index_type=plan.index_type, metric_type=METRIC, params=dict(parameters))
    try:
        client.create_index(plan.name, indexes, timeout=timeout_s)
    except MilvusException as error:
        if needs_gpu(plan.index_type) and is_invalid_request(error):
            # Without an index it was never loaded or written; left here, it would say that it has this one.
            client.drop_collection(plan.name, timeout=timeout_s)
            raise _no_gpu(plan, str(error.message)) from error
        raise


def _no_gpu(plan: Plan, why: str) -> Unavailable:
    return Unavailable(
        Reason.MILVUS_UNAVAILABLE,
        f"this Milvus serves no {plan.index_type} index for collection {plan.name}: {why}; use a Milvus that was built "
        "for GPUs, on a machine with one, or another index_type such as HNSW",
    )


def _make_unless(found: Callable[[], Any], make: Callable[[], None]) -> None:
    """Makes what is not found; another gateway may make it meanwhile."""
    if found():
        return
    try:
        make()
    except MilvusException:
        if not found():
            raise


def _schema(client: MilvusClient, plan: Plan) -> Any:  # noqa: ANN401
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    if plan.alias == Route.VIDEOS:
        add_video_fields(schema)
    else:
        _add_product_fields(schema)
    schema.add_field(VECTOR_FIELD, DataType.FLOAT_VECTOR, dim=plan.size)
    return schema


def _add_product_fields(schema: Any) -> None:  # noqa: ANN401
    """One row for each reference picture of a product."""
    schema.add_field("row_id", DataType.VARCHAR, is_primary=True, max_length=_ROW_ID_BYTES)
    for name, length in FIELD_BYTES.items():
        schema.add_field(name, DataType.VARCHAR, max_length=length)
    schema.add_field("ordinal", DataType.INT32)
    schema.add_field("price", DataType.DOUBLE, nullable=True)
    schema.add_field("boost", DataType.FLOAT)
    for name in ("x_min", "y_min", "x_max", "y_max"):
        schema.add_field(name, DataType.FLOAT)
    schema.add_field("updated_at", DataType.DOUBLE)
