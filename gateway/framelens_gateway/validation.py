"""Checks what callers ask before anything is done, with the same words on both faces."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from google.protobuf.unknown_fields import UnknownFieldSet

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.product_collection import FIELD_BYTES
from framelens_gateway.recognizer import Box
from framelens_gateway.videos.rows import VIDEO_FIELD_BYTES

MAX_TOP_K = 100
MAX_PAGED = 1000
MAX_OBJECTS = 32
MAX_PRODUCTS_PER_CALL = 64
MAX_PICTURES_PER_PRODUCT = 16
MAX_IDS_PER_CALL = 1000
MAX_PAGE_SIZE = 1000
MAX_VIDEOS_PER_CALL = 100
_MAX_FILTER_VALUES = 100
_MAX_KEY_BYTES = 256
# So many unknown fields are named at most.
_MAX_NAMED = 8
_DEFAULT_TOP_K = 10
_DEFAULT_PAGE_SIZE = 100
_DEFAULT_MIN_OBJECT_SCORE = 0.5
_DEFAULT_MAX_OBJECTS = 8
_MAX_ACCOUNT_BYTES = VIDEO_FIELD_BYTES["account"]
# Of a video's length: a day.
_MAX_TIMESTAMP_S = 86_400.0
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_MAX_PRICE = 1e12
# Since the epoch: the year 5138.
_MAX_SECONDS = 1e11
AVAILABILITIES = ("in_stock", "out_of_stock", "preorder", "backorder")
# How far a product may be moved in a ranking: as far as a good match is from a fair one.
MAX_BOOST = 0.2
# The contract's floats are of 32 bits, and 0.2 among them is a little more than 0.2.
_BOOST_DIGITS = 6


class Search(NamedTuple):
    """Search options, checked, with their defaults."""

    top_k: int
    min_score: float
    filter: pb.Filter
    use_boost: bool = False


def search_options(options: pb.SearchOptions) -> Search:
    top_k = options.top_k if options.HasField("top_k") else _DEFAULT_TOP_K
    min_score = options.min_score if options.HasField("min_score") else -1.0
    _in_range("top_k", top_k, 1, MAX_TOP_K)
    _in_range("min_score", min_score, -1, 1)
    check_filter(options.filter)
    return Search(top_k, min_score, options.filter, options.use_boost)


def objects_wanted(request: pb.RecognizeRequest) -> tuple[float, int]:
    """min_object_score and max_objects."""
    min_score = request.min_object_score if request.HasField("min_object_score") else _DEFAULT_MIN_OBJECT_SCORE
    max_objects = request.max_objects if request.HasField("max_objects") else _DEFAULT_MAX_OBJECTS
    _in_range("min_object_score", min_score, 0, 1)
    _in_range("max_objects", max_objects, 1, MAX_OBJECTS)
    return min_score, max_objects


def check_picture(picture: bytes, max_bytes: int) -> bytes:
    if not picture:
        raise InvalidRequest("the picture is empty (0 bytes); send an encoded picture", Reason.INVALID_PICTURE)
    if len(picture) > max_bytes:
        raise InvalidRequest(
            f"the picture has {len(picture)} bytes; the limit is {max_bytes}", Reason.PICTURE_TOO_LARGE
        )
    return picture


def check_key(key: str) -> None:
    _check_text("key", key, _MAX_KEY_BYTES, Reason.INVALID_ARGUMENT)


def region(box: pb.Box) -> Box:
    """A region inside the picture, not empty and not inverted."""
    found = Box(box.x_min, box.y_min, box.x_max, box.y_max)
    shown = ", ".join(f"{value:g}" for value in found)
    if not all(math.isfinite(value) for value in found):
        raise InvalidRequest(f"region ({shown}) is not finite; coordinates are in 0..1", Reason.INVALID_REGION)
    if min(found) < 0 or max(found) > 1:
        raise InvalidRequest(f"region ({shown}) is outside the picture; coordinates are in 0..1", Reason.INVALID_REGION)
    if found.x_min >= found.x_max or found.y_min >= found.y_max:
        raise InvalidRequest(
            f"region ({shown}) is empty or inverted; x_min < x_max and y_min < y_max are needed", Reason.INVALID_REGION
        )
    return found


def searched_region(request: pb.SearchRegionRequest) -> Box:
    if not request.HasField("region"):
        raise InvalidRequest(
            "the region is missing; give x_min, y_min, x_max, y_max in 0..1 of the picture", Reason.INVALID_REGION
        )
    return region(request.region)


def check_filter(wanted: pb.Filter) -> None:
    """A condition that the server does not know must not be left out silently: the answer would be wrong."""
    numbers = {entry.field_number for entry in UnknownFieldSet(wanted)}  # type: ignore[attr-defined]
    unknown = [str(number) for number in sorted(numbers)[:_MAX_NAMED]]
    if unknown:
        raise InvalidRequest(
            f"filter has unknown fields (numbers {', '.join(unknown)}); this server knows categories, merchants, "
            "min_price, max_price, availabilities",
            Reason.INVALID_FILTER,
        )
    for name, values in (("categories", wanted.categories), ("merchants", wanted.merchants)):
        if len(values) > _MAX_FILTER_VALUES:
            raise InvalidRequest(
                f"filter.{name} has {len(values)} values; the limit is {_MAX_FILTER_VALUES}", Reason.INVALID_FILTER
            )
        for value in values:
            _check_text(f"filter.{name}", value, 256, Reason.INVALID_FILTER)
    for availability in wanted.availabilities:
        _check_text("filter.availabilities", availability, FIELD_BYTES["availability"], Reason.INVALID_FILTER)
        if availability not in AVAILABILITIES:
            raise InvalidRequest(
                f"filter.availabilities has {availability!r}; there are {', '.join(AVAILABILITIES)}",
                Reason.INVALID_FILTER,
            )
    for bound, price in (("min_price", wanted.min_price), ("max_price", wanted.max_price)):
        # A bound that is absent reads as 0.
        if not 0 <= price <= _MAX_PRICE:
            raise InvalidRequest(f"filter.{bound} is {price:g}; it must be in 0..{_MAX_PRICE:g}", Reason.INVALID_FILTER)
    if wanted.HasField("min_price") and wanted.HasField("max_price") and wanted.min_price > wanted.max_price:
        raise InvalidRequest(
            f"filter.min_price {wanted.min_price:g} is above filter.max_price {wanted.max_price:g}",
            Reason.INVALID_FILTER,
        )


def product(upsert: pb.ProductUpsert) -> None:
    """Raises InvalidRequest with reason INVALID_PRODUCT; the id stands beside its message in the result."""
    wanted = upsert.product
    product_id(wanted.id, Reason.INVALID_PRODUCT)
    if wanted.HasField("price") and not 0 <= wanted.price <= _MAX_PRICE:
        raise InvalidRequest(f"price {wanted.price:g} is not in 0..{_MAX_PRICE:g}", Reason.INVALID_PRODUCT)
    _check_fields(wanted)
    if not 1 <= len(upsert.pictures) <= MAX_PICTURES_PER_PRODUCT:
        raise InvalidRequest(
            f"the product has {len(upsert.pictures)} pictures; 1 to {MAX_PICTURES_PER_PRODUCT} are needed",
            Reason.INVALID_PRODUCT,
        )


def product_update(update: pb.ProductUpdate) -> None:
    """Raises InvalidRequest with reason INVALID_PRODUCT."""
    product_id(update.id, Reason.INVALID_PRODUCT)
    if len(update.ListFields()) < 2:
        names = ", ".join(field.name for field in update.DESCRIPTOR.fields if field.name != "id")
        raise InvalidRequest(f"the update changes nothing; give one of {names}", Reason.INVALID_PRODUCT)
    if not -math.inf < update.price <= _MAX_PRICE:
        raise InvalidRequest(
            f"price {update.price:g} is not in 0..{_MAX_PRICE:g}, nor below 0 to take it away", Reason.INVALID_PRODUCT
        )
    _check_fields(update)


def _check_fields(wanted: pb.Product | pb.ProductUpdate) -> None:
    """But for id and price. What is absent reads as empty, which each of them may be."""
    for name in ("title", "url", "merchant", "category", "currency", "availability"):
        _check_text(name, getattr(wanted, name), FIELD_BYTES[name], Reason.INVALID_PRODUCT)
    if wanted.currency and not _CURRENCY.fullmatch(wanted.currency):
        raise InvalidRequest(
            f"currency {wanted.currency!r} is not a code of ISO 4217, such as EUR", Reason.INVALID_PRODUCT
        )
    if wanted.availability and wanted.availability not in AVAILABILITIES:
        raise InvalidRequest(
            f"availability {wanted.availability!r} is none of {', '.join(AVAILABILITIES)}", Reason.INVALID_PRODUCT
        )
    if not -MAX_BOOST <= round(wanted.boost, _BOOST_DIGITS) <= MAX_BOOST:
        raise InvalidRequest(f"boost {wanted.boost:g} is not in {-MAX_BOOST:g}..{MAX_BOOST:g}", Reason.INVALID_PRODUCT)


def reference_region(picture: pb.ReferencePicture) -> Box | None:
    """None where the main object is meant, wherever it is."""
    return region(picture.region) if picture.HasField("region") else None


def product_id(value: str, reason: Reason = Reason.INVALID_ARGUMENT) -> str:
    if not value:
        raise InvalidRequest("a product without id; give it one", reason)
    _check_text("product id", value, FIELD_BYTES["product_id"], reason)
    return value


def product_ids(values: Iterable[str]) -> list[str]:
    """Ids without repeats, in their order."""
    ids = list(dict.fromkeys(product_id(value) for value in values))
    if not 1 <= len(ids) <= MAX_IDS_PER_CALL:
        raise InvalidRequest(f"{len(ids)} ids; 1 to {MAX_IDS_PER_CALL} are needed")
    return ids


def video_id(value: str, reason: Reason = Reason.INVALID_ARGUMENT) -> str:
    if not value:
        raise InvalidRequest("a video without id; give it one", reason)
    _check_text("video id", value, VIDEO_FIELD_BYTES["video_id"], reason)
    return value


def video_ids(values: Sequence[str]) -> list[str]:
    """Ids without repeats, in their order."""
    ids = list(dict.fromkeys(video_id(value) for value in values))
    check_count("video ids", len(ids), MAX_VIDEOS_PER_CALL)
    return ids


def video(header: pb.IndexVideoHeader) -> None:
    """Raises InvalidRequest with reason INVALID_VIDEO."""
    wanted = header.video
    video_id(wanted.id, Reason.INVALID_VIDEO)
    if not wanted.account:
        raise InvalidRequest(
            f"video {wanted.id} has no account; give one: related videos are of others", Reason.INVALID_VIDEO
        )
    for name in ("account", "title", "url"):
        _check_text(name, getattr(wanted, name), VIDEO_FIELD_BYTES[name], Reason.INVALID_VIDEO)
    if wanted.HasField("published_at") and not 0 <= wanted.published_at <= _MAX_SECONDS:
        raise InvalidRequest(
            f"published_at {wanted.published_at:g} is not a time in seconds since the epoch", Reason.INVALID_VIDEO
        )
    if header.sha256 and not _SHA256.fullmatch(header.sha256):
        raise InvalidRequest(
            "sha256 is not 64 hexadecimal digits; leave it out, or send it whole", Reason.INVALID_VIDEO
        )


def second_of_video(request: pb.RecognizeRequest) -> tuple[str, float] | None:
    """The video and the second that a frame is of; None where the request does not say."""
    if request.HasField("timestamp_s") and not request.video_id:
        raise InvalidRequest("timestamp_s without video_id; say which video the second is of")
    if not request.video_id:
        return None
    video_id(request.video_id)
    if not request.HasField("timestamp_s"):
        return None
    _in_range("timestamp_s", request.timestamp_s, 0, _MAX_TIMESTAMP_S)
    return request.video_id, request.timestamp_s


def check_related(related: pb.RelatedOptions) -> None:
    _check_text("related.account", related.account, _MAX_ACCOUNT_BYTES, Reason.INVALID_ARGUMENT)


def page_size(request: pb.ListProductsRequest | pb.ListVideosRequest) -> int:
    size = request.page_size if request.HasField("page_size") else _DEFAULT_PAGE_SIZE
    _in_range("page_size", size, 1, MAX_PAGE_SIZE)
    return size


def check_count(what: str, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise InvalidRequest(f"{count} {what}; 1 to {most} are needed in one call")


def _in_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        # Decimal prints the shortest form of what the caller sent, NaN included.
        raise InvalidRequest(f"{name} is {Decimal(repr(value))}; it must be in {least}..{most}")


def _check_text(name: str, value: str, most_bytes: int, reason: Reason) -> None:
    size = len(value.encode())
    if size > most_bytes:
        raise InvalidRequest(f"{name} has {size} bytes; the limit is {most_bytes}", reason)
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise InvalidRequest(f"{name} {value!r} has control characters; remove them", reason)
