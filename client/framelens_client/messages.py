"""Conversion between the typed values of results.py and the messages of the contract."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from framelens_client import results, videos
from framelens_client.trials import Trial
from framelens_client.v1 import framelens_pb2 as pb

# As they happen; a map of the contract comes in another order every time.
_STAGES = ("decode", "resize", "detect", "nms", "crop", "embed", "queue", "recognizer", "search", "total")
# Of the contract's floats, which have 32 bits: 0.1 is not to come back as 0.10000000149.
_FLOAT_DIGITS = 6

Answer = (
    results.Recognition
    | results.RegionSearch
    | results.StoredProduct
    | videos.BatchMoments
    | videos.IndexProgress
    | videos.StoredVideo
    | videos.VideoMoments
    | videos.VideoPage
    | Trial
)

_MESSAGE_OF: dict[type[Answer], type[Message]] = {
    results.Recognition: pb.RecognizeResponse,
    results.RegionSearch: pb.SearchRegionResponse,
    results.StoredProduct: pb.StoredProduct,
    videos.BatchMoments: pb.BatchGetMomentsResponse,
    videos.IndexProgress: pb.IndexVideoProgress,
    videos.StoredVideo: pb.StoredVideo,
    videos.VideoMoments: pb.VideoMoments,
    videos.VideoPage: pb.ListVideosResponse,
    Trial: pb.Trial,
}


def as_json(answer: Answer) -> dict[str, Any]:
    """The contract's JSON shape: proto field names, lists and strings present even when empty."""
    message = ParseDict(asdict(answer), _MESSAGE_OF[type(answer)]())
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def box_message(box: results.Box | None) -> pb.Box | None:
    if box is None:
        return None
    return pb.Box(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max)


def box_of(box: pb.Box) -> results.Box:
    return results.Box(box.x_min, box.y_min, box.x_max, box.y_max)


def size_of(size: pb.PictureSize) -> results.PictureSize:
    return results.PictureSize(size.width, size.height)


def filter_message(wanted: results.Filter | None) -> pb.Filter | None:
    if wanted is None:
        return None
    return pb.Filter(
        categories=wanted.categories,
        merchants=wanted.merchants,
        min_price=wanted.min_price,
        max_price=wanted.max_price,
        availabilities=wanted.availabilities,
    )


def search_options(
    top_k: int | None, min_score: float | None, wanted: results.Filter | None, use_boost: bool
) -> pb.SearchOptions:
    return pb.SearchOptions(top_k=top_k, min_score=min_score, filter=filter_message(wanted), use_boost=use_boost)


def upsert_message(upsert: results.ProductUpsert) -> pb.ProductUpsert:
    return pb.ProductUpsert(
        product=pb.Product(**asdict(upsert.product)),
        pictures=[
            pb.ReferencePicture(picture=reference.picture, region=box_message(reference.region))
            for reference in upsert.pictures
        ],
    )


def update_message(update: results.ProductUpdate) -> pb.ProductUpdate:
    return pb.ProductUpdate(**asdict(update))


def recognition(answer: pb.RecognizeResponse) -> results.Recognition:
    return results.Recognition(tuple(_object(found) for found in answer.objects), _served(answer.served))


def region_search(answer: pb.SearchRegionResponse) -> results.RegionSearch:
    return results.RegionSearch(
        box_of(answer.region), _matches(answer.matches), answer.next_page_token, _served(answer.served)
    )


def upsert(answer: pb.UpsertProductsResponse) -> results.Upsert:
    return results.Upsert(tuple(_upsert_result(result) for result in answer.results), _served(answer.served))


def update_results(answer: pb.UpdateProductsResponse) -> tuple[results.UpsertResult, ...]:
    return tuple(_upsert_result(result) for result in answer.results)


def deletion(answer: pb.DeleteProductsResponse) -> results.Deletion:
    return results.Deletion(tuple(answer.deleted), tuple(answer.missing))


def stored_product(answer: pb.StoredProduct) -> results.StoredProduct:
    pictures = tuple(results.StoredPicture(stored.picture_id, _region(stored)) for stored in answer.pictures)
    return results.StoredProduct(_product(answer.product), pictures, answer.updated_at)


def product_page(answer: pb.ListProductsResponse) -> results.ProductPage:
    return results.ProductPage(tuple(stored_product(stored) for stored in answer.products), answer.next_page_token)


def _region(stored: pb.StoredPicture) -> results.Box | None:
    return box_of(stored.region) if stored.HasField("region") else None


def _object(found: pb.RecognizedObject) -> results.RecognizedObject:
    return results.RecognizedObject(
        label=found.label,
        score=found.score,
        box=box_of(found.box),
        route=found.route,
        matches=_matches(found.matches),
        note=found.note,
        next_page_token=found.next_page_token,
        match_threshold=found.match_threshold if found.HasField("match_threshold") else None,
    )


def _matches(matches: Iterable[pb.Match]) -> tuple[results.Match, ...]:
    return tuple(_match(match) for match in matches)


def _match(match: pb.Match) -> results.Match:
    return results.Match(
        kind=match.kind,
        id=match.id,
        title=match.title,
        score=match.score,
        url=match.url,
        merchant=match.merchant,
        category=match.category,
        price=match.price if match.HasField("price") else None,
        currency=match.currency,
        picture_id=match.picture_id,
        availability=match.availability,
        boost=round(match.boost, _FLOAT_DIGITS) if match.HasField("boost") else None,
        rank_without_boost=match.rank_without_boost if match.HasField("rank_without_boost") else None,
        video=_video_match(match.video) if match.HasField("video") else None,
    )


def _video_match(video: pb.VideoMatch) -> results.VideoMatch:
    return results.VideoMatch(
        account=video.account,
        published_at=video.published_at,
        start_s=video.start_s,
        end_s=video.end_s,
        at_s=video.at_s,
        label=video.label,
    )


def _product(product: pb.Product) -> results.Product:
    return results.Product(
        id=product.id,
        title=product.title,
        url=product.url,
        merchant=product.merchant,
        category=product.category,
        price=product.price if product.HasField("price") else None,
        currency=product.currency,
        availability=product.availability,
        boost=round(product.boost, _FLOAT_DIGITS),
    )


def _served(served: pb.Served) -> results.Served:
    return results.Served(
        engines=tuple(results.Engine(engine.model, engine.version) for engine in served.engines),
        collections=tuple(served.collections),
        stages_ms=_in_order(served.stages_ms),
        picture=size_of(served.picture) if served.HasField("picture") else None,
        candidate=served.candidate,
        source=served.source,
    )


def _in_order(stages_ms: Mapping[str, float]) -> dict[str, float]:
    """Stages of a newer server come first: they are parts of the total too."""
    place = {stage: number for number, stage in enumerate(_STAGES)}
    return dict(sorted(stages_ms.items(), key=lambda stage: (place.get(stage[0], -1), stage[0])))


def _upsert_result(result: pb.UpsertResult) -> results.UpsertResult:
    error = results.RowError(result.error.reason, result.error.message) if result.HasField("error") else None
    return results.UpsertResult(result.id, error)
