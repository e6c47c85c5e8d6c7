"""The core of VisualSearch: recognise, route, search, dedupe, rank."""

import time
from collections.abc import Sequence

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway import validation
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.filters import filter_expression
from framelens_gateway.index import Collection, Hit, Vector
from framelens_gateway.merging import SearchMerger
from framelens_gateway.pages import page_token, position_of
from framelens_gateway.ranking import Ranking, Wanted, score
from framelens_gateway.recognizer import FoundObject, Recognition, RecognizerCall, Recognizes
from framelens_gateway.routing import Route, Routing
from framelens_gateway.serving import Servings
from framelens_gateway.tracing import part_span
from framelens_gateway.unnamed.selection import UnnamedObjects

_PAGE_KIND = "matches"
_NO_VIDEOS = "no videos are indexed yet: this label is searched in videos"


class VisualSearch:
    """Finds objects and their matches with what `servings` names; knows neither gRPC nor HTTP."""

    def __init__(
        self,
        recognizer: Recognizes,
        servings: Servings,
        merger: SearchMerger,
        routing: Routing,
        max_picture_bytes: int,
        unnamed: UnnamedObjects,
    ) -> None:
        self._recognizer = recognizer
        self._servings = servings
        self._ranking = Ranking(merger)
        self._routing = routing
        self._max_picture_bytes = max_picture_bytes
        self._unnamed = unnamed

    async def recognize(self, request: pb.RecognizeRequest, deadline: Deadline) -> pb.RecognizeResponse:
        """Raises GatewayError."""
        started = time.perf_counter()
        picture = validation.check_picture(request.picture, self._max_picture_bytes)
        options = validation.search_options(request.search)
        min_score, max_objects = validation.objects_wanted(request)
        validation.check_key(request.key)
        serving = await self._servings.serving()
        unnamed = self._unnamed.sought(request, serving.collection)
        call = RecognizerCall(
            picture,
            serving.embedder,
            min_score=min_score,
            max_objects=max_objects,
            unnamed=unnamed.boxes,
            detector=serving.detector,
            recognizer=serving.recognizer,
        )
        recognition, recognizer_ms = await self._recognize(call, serving.collection, deadline)
        search_started = time.perf_counter()
        answers = await self._answer(recognition.objects, serving.collection, options, deadline)
        searched = any(answer.route == Route.PRODUCTS for answer in answers)
        served = _served(recognition, [serving.collection] if searched else [])
        answers = unnamed.kept(answers)
        _add_times(served, started, recognizer_ms, search_started)
        return pb.RecognizeResponse(objects=answers, served=served)

    async def search_region(self, request: pb.SearchRegionRequest, deadline: Deadline) -> pb.SearchRegionResponse:
        """Raises GatewayError."""
        started = time.perf_counter()
        picture = validation.check_picture(request.picture, self._max_picture_bytes)
        options = validation.search_options(request.search)
        region = validation.searched_region(request)
        first = _first(request.page_token)
        validation.check_key(request.key)
        serving = await self._servings.serving()
        call = RecognizerCall(picture, serving.embedder, regions=(region,), recognizer=serving.recognizer)
        recognition, recognizer_ms = await self._recognize(call, serving.collection, deadline)
        search_started = time.perf_counter()
        (ranked,) = await self._ranked(serving.collection, [recognition.objects[0].embedding], options, first, deadline)
        matches, token = _page(ranked, options, first)
        served = _served(recognition, [serving.collection])
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
        self, objects: Sequence[FoundObject], collection: Collection, options: validation.Search, deadline: Deadline
    ) -> list[pb.RecognizedObject]:
        routes = [self._routing.of(found.label) for found in objects]
        searched = [found.embedding for found, route in zip(objects, routes, strict=True) if route is Route.PRODUCTS]
        ranked = iter(await self._ranked(collection, searched, options, 0, deadline))
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
        self,
        collection: Collection,
        vectors: Sequence[Vector],
        options: validation.Search,
        first: int,
        deadline: Deadline,
    ) -> list[list[Hit]]:
        """The best hit of each product, best first: enough for this page and to know whether another follows."""
        if not vectors:
            return []
        needed = min(first + options.top_k + 1, validation.MAX_PAGED + 1)
        expression = filter_expression(options.filter)
        with part_span("search"):
            return await self._ranking.best(
                Wanted(collection, expression, needed, options.min_score, deadline), vectors
            )


def _first(token: str) -> int:
    """Where the page begins. Raises InvalidRequest."""
    first = int(position_of(token, _PAGE_KIND, int) or 0)
    if not 0 <= first < validation.MAX_PAGED:
        raise InvalidRequest("page_token points behind the last page; start again", Reason.INVALID_PAGE_TOKEN)
    return first


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
        score=score(hit),
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
