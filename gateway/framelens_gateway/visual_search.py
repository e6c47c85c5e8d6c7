"""The core of VisualSearch: recognise, route, search, dedupe, rank."""

import time
from collections.abc import Sequence

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway import validation
from framelens_gateway.aliases import Aliases
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.filters import filter_expression
from framelens_gateway.index import Collection, Hit, Vector
from framelens_gateway.merging import SearchKey, SearchMerger
from framelens_gateway.pages import page_token, position_of
from framelens_gateway.recognizer import FoundObject, Recognition, Recognizer, RecognizerCall
from framelens_gateway.routing import Route, Routing

_PAGE_KIND = "matches"
# The most that every Milvus index type answers, GPU ones included.
_MAX_HITS = 1024
_SCORE_DIGITS = 5
_NO_VIDEOS = "no videos are indexed yet: this label is searched in videos"


class VisualSearch:
    """Finds objects and their matches; knows neither gRPC nor HTTP."""

    def __init__(
        self,
        recognizer: Recognizer,
        aliases: Aliases,
        merger: SearchMerger,
        routing: Routing,
        max_picture_bytes: int,
    ) -> None:
        self._recognizer = recognizer
        self._aliases = aliases
        self._merger = merger
        self._routing = routing
        self._max_picture_bytes = max_picture_bytes

    async def recognize(self, request: pb.RecognizeRequest, deadline: Deadline) -> pb.RecognizeResponse:
        """Raises GatewayError."""
        started = time.perf_counter()
        picture = validation.check_picture(request.picture, self._max_picture_bytes)
        options = validation.search_options(request.search)
        min_score, max_objects = validation.objects_wanted(request)
        collection = await self._aliases.collection(Route.PRODUCTS)
        call = RecognizerCall(picture, collection.space, min_score=min_score, max_objects=max_objects)
        recognition, recognizer_ms = await self._recognize(call, collection, deadline)
        search_started = time.perf_counter()
        answers = await self._answer(recognition.objects, collection, options)
        served = _served(recognition, [collection] if answers else [])
        _add_times(served, started, recognizer_ms, search_started)
        return pb.RecognizeResponse(objects=answers, served=served)

    async def search_region(self, request: pb.SearchRegionRequest, deadline: Deadline) -> pb.SearchRegionResponse:
        """Raises GatewayError."""
        started = time.perf_counter()
        picture = validation.check_picture(request.picture, self._max_picture_bytes)
        options = validation.search_options(request.search)
        region = validation.region(request.region)
        first = _first(request.page_token)
        collection = await self._aliases.collection(Route.PRODUCTS)
        call = RecognizerCall(picture, collection.space, regions=(region,))
        recognition, recognizer_ms = await self._recognize(call, collection, deadline)
        search_started = time.perf_counter()
        (ranked,) = await self._ranked(collection, [recognition.objects[0].embedding], options, first)
        matches, token = _page(ranked, options, first)
        served = _served(recognition, [collection])
        _add_times(served, started, recognizer_ms, search_started)
        return pb.SearchRegionResponse(region=request.region, matches=matches, next_page_token=token, served=served)

    async def _recognize(
        self, call: RecognizerCall, collection: Collection, deadline: Deadline
    ) -> tuple[Recognition, float]:
        """The recognition and the milliseconds that the call to Triton took."""
        started = time.perf_counter()
        recognition = await self._recognizer.recognize(call, deadline)
        for found in recognition.objects:
            collection.check_size(found.embedding)
        deadline.remaining("search")
        return recognition, (time.perf_counter() - started) * 1e3

    async def _answer(
        self, objects: Sequence[FoundObject], collection: Collection, options: validation.Search
    ) -> list[pb.RecognizedObject]:
        routes = [self._routing.of(found.label) for found in objects]
        searched = [found.embedding for found, route in zip(objects, routes, strict=True) if route is Route.PRODUCTS]
        ranked = iter(await self._ranked(collection, searched, options, 0))
        answers = []
        for found, route in zip(objects, routes, strict=True):
            answer = pb.RecognizedObject(
                label=found.label, score=found.score, box=pb.Box(**found.box._asdict()), route=route
            )
            if route is Route.PRODUCTS:
                matches, answer.next_page_token = _page(next(ranked), options, 0)
                answer.matches.extend(matches)
            else:
                answer.note = _NO_VIDEOS
            answers.append(answer)
        return answers

    async def _ranked(
        self, collection: Collection, vectors: Sequence[Vector], options: validation.Search, first: int
    ) -> list[list[Hit]]:
        """The best hit of each product, best first: enough for this page and to know whether another follows.

        More hits are asked for where products with many pictures leave too few, and where hits that were cut off may
        score the same as one that is needed: which of the equals come would be by chance, and pages would not fit.
        """
        if not vectors:
            return []
        needed = min(first + options.top_k + 1, validation.MAX_PAGED + 1)
        limit = _rounded_up(needed)
        expression = filter_expression(options.filter)
        min_score = round(options.min_score, _SCORE_DIGITS)
        while True:
            hits = await self._merger.search(SearchKey(collection.name, expression, limit), vectors)
            ranked = [_best_of_each_product(found, min_score) for found in hits]
            cut = any(
                _may_miss(found, best, needed, limit, min_score) for found, best in zip(hits, ranked, strict=True)
            )
            if not cut or limit == _MAX_HITS:
                return ranked
            limit = min(limit * 4, _MAX_HITS)


def _first(token: str) -> int:
    """Where the page begins. Raises InvalidRequest."""
    first = int(position_of(token, _PAGE_KIND, int) or 0)
    if not 0 <= first < validation.MAX_PAGED:
        raise InvalidRequest("page_token points behind the last page; start again", Reason.INVALID_PAGE_TOKEN)
    return first


def _rounded_up(count: int) -> int:
    """The next of few limits, so that searches with different top_k share calls."""
    limit = 16
    while limit < count:
        limit *= 4
    return min(limit, _MAX_HITS)


def _score(hit: Hit) -> float:
    """Without what rounding in the index adds or takes: equals are equal, and none is above one."""
    return min(round(hit.score, _SCORE_DIGITS), 1.0)


def _may_miss(hits: Sequence[Hit], best: Sequence[Hit], needed: int, limit: int, min_score: float) -> bool:
    """Whether hits beyond the limit could be among the products that are needed."""
    if len(hits) < limit or _score(hits[-1]) < min_score:
        return False
    return len(best) < needed or _score(best[needed - 1]) == _score(hits[-1])


def _best_of_each_product(hits: Sequence[Hit], min_score: float) -> list[Hit]:
    """Hits above the score, one for each product; equal scores in the order of ids, so that answers repeat."""
    best: dict[str, Hit] = {}
    for hit in sorted(hits, key=lambda hit: (-_score(hit), hit.row["product_id"], hit.row["ordinal"])):
        if _score(hit) >= min_score:
            best.setdefault(hit.row["product_id"], hit)
    return list(best.values())


def _page(ranked: Sequence[Hit], options: validation.Search, first: int) -> tuple[list[pb.Match], str]:
    """The matches of one page, and the token of the next, empty at the end."""
    end = min(first + options.top_k, validation.MAX_PAGED)
    more = len(ranked) > end and end < validation.MAX_PAGED
    return [_match(hit) for hit in ranked[first:end]], page_token(_PAGE_KIND, end) if more else ""


def _match(hit: Hit) -> pb.Match:
    row = hit.row
    return pb.Match(
        kind="product",
        id=row["product_id"],
        title=row["title"],
        score=_score(hit),
        url=row["url"],
        merchant=row["merchant"],
        category=row["category"],
        price=row["price"],
        currency=row["currency"],
        picture_id=row["picture_id"],
    )


def _served(recognition: Recognition, collections: Sequence[Collection]) -> pb.Served:
    return pb.Served(
        engines=[pb.Engine(model=model, version=version) for model, version in recognition.engines.items()],
        collections=[collection.name for collection in collections],
        stages_ms=recognition.stages_ms,
        picture=pb.PictureSize(width=recognition.width, height=recognition.height),
    )


def _add_times(served: pb.Served, started: float, recognizer_ms: float, search_started: float) -> None:
    """`queue` is what the call to recognizer took beyond its stages: Triton's queue and the way there and back."""
    now = time.perf_counter()
    served.stages_ms["queue"] = max(0.0, recognizer_ms - sum(served.stages_ms.values()))
    served.stages_ms["recognizer"] = recognizer_ms
    served.stages_ms["search"] = (now - search_started) * 1e3
    served.stages_ms["total"] = (now - started) * 1e3
