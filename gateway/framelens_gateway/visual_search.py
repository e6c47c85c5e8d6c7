"""The core of VisualSearch: recognise, route, search, dedupe, rank."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway import validation
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.filters import filter_expression
from framelens_gateway.gathering import all_or_first_failure
from framelens_gateway.index import Collection, Hit, Vector
from framelens_gateway.merging import SearchMerger
from framelens_gateway.pages import page_token, position_of
from framelens_gateway.ranking import Ranking, Wanted, boost, ranks_by_score, score
from framelens_gateway.recognizer import (
    WHOLE_PICTURE,
    FoundObject,
    Recognition,
    RecognizerCall,
    Recognizes,
)
from framelens_gateway.routing import Route, Routing
from framelens_gateway.serving import Servings
from framelens_gateway.tracing import part_span
from framelens_gateway.unnamed.selection import NOTHING, Sought, UnnamedObjects
from framelens_gateway.videos.related import Related
from framelens_gateway.videos.stored_objects import InView

_PAGE_KIND = "matches"
_NO_VIDEOS = "no videos are indexed yet: this label is searched in videos"
# The vectors, in a space, of those objects whose numbers are given.
EmbedIn = Callable[[str, Sequence[int]], Awaitable[list[Vector]]]


class VisualSearch:
    """Finds objects and their matches with what `servings` names; knows neither gRPC nor HTTP."""

    def __init__(
        self,
        recognizer: Recognizes,
        servings: Servings,
        merger: SearchMerger,
        related: Related,
        unnamed: UnnamedObjects,
        routing: Routing,
        max_picture_bytes: int,
    ) -> None:
        self._recognizer = recognizer
        self._servings = servings
        self._ranking, self._related = Ranking(merger), related
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
        validation.check_related(request.related)
        serving = await self._servings.serving()
        _check_asked(options, serving.collection)
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

        async def embed_in(space: str, numbers: Sequence[int]) -> list[Vector]:
            boxes = tuple(recognition.objects[number].box for number in numbers)
            again = replace(call, embedder=space, regions=boxes, unnamed=0)
            return [found.embedding for found in (await self._recognizer.recognize(again, deadline)).objects]

        asked = _Asked(request, serving.collection, options, unnamed, None, started, recognizer_ms)
        return await self._answered(asked, recognition, embed_in, deadline)

    async def recognize_stored(
        self, request: pb.RecognizeRequest, in_view: InView, deadline: Deadline
    ) -> pb.RecognizeResponse:
        """Answers of what is stored of a video: only the crops are embedded. Raises GatewayError."""
        started = time.perf_counter()
        options = validation.search_options(request.search)
        serving = await self._servings.serving()
        _check_asked(options, serving.collection)

        def call(space: str, number: int) -> RecognizerCall:
            return RecognizerCall(in_view.objects[number].crop, space, regions=(WHOLE_PICTURE,))

        async def embed_in(space: str, numbers: Sequence[int]) -> list[Vector]:
            embedded = await all_or_first_failure(
                self._recognizer.recognize(call(space, number), deadline) for number in numbers
            )
            return [each.objects[0].embedding for each in embedded]

        embedded = await all_or_first_failure(
            self._recognize(call(serving.embedder, number), serving.collection, deadline)
            for number in range(len(in_view.objects))
        )
        recognition = _of_moments(in_view, [each for each, _ in embedded])
        embedded_ms = (time.perf_counter() - started) * 1e3
        asked = _Asked(request, serving.collection, options, NOTHING, in_view.video, started, embedded_ms)
        return await self._answered(asked, recognition, embed_in, deadline)

    async def search_region(self, request: pb.SearchRegionRequest, deadline: Deadline) -> pb.SearchRegionResponse:
        """Raises GatewayError."""
        started = time.perf_counter()
        picture = validation.check_picture(request.picture, self._max_picture_bytes)
        options = validation.search_options(request.search)
        region = validation.searched_region(request)
        first = _first(request.page_token)
        validation.check_key(request.key)
        serving = await self._servings.serving()
        _check_asked(options, serving.collection)
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

    async def _answered(
        self, asked: "_Asked", recognition: Recognition, embed_in: EmbedIn, deadline: Deadline
    ) -> pb.RecognizeResponse:
        """Searches every object where its label is routed."""
        search_started = time.perf_counter()
        answers = [
            pb.RecognizedObject(
                label=found.label,
                score=found.score,
                box=pb.Box(**found.box._asdict()),
                route=self._routing.of(found.label),
            )
            for found in recognition.objects
        ]
        searched = await all_or_first_failure(
            (
                self._add_products(asked, answers, recognition, deadline),
                self._add_related(asked, answers, recognition, embed_in, deadline),
            )
        )
        served = _served(recognition, [each for each in searched if each is not None])
        served.source = "picture" if asked.watched is None else "moments"
        _add_times(served, asked.started, asked.recognizer_ms, search_started)
        return pb.RecognizeResponse(objects=asked.unnamed.kept(answers), served=served)

    async def _add_products(
        self,
        asked: "_Asked",
        answers: Sequence[pb.RecognizedObject],
        recognition: Recognition,
        deadline: Deadline,
    ) -> Collection | None:
        """The collection that was searched."""
        numbers = _routed(answers, Route.PRODUCTS)
        vectors = [recognition.objects[number].embedding for number in numbers]
        ranked = await self._ranked(asked.collection, vectors, asked.options, 0, deadline)
        for number, found in zip(numbers, ranked, strict=True):
            matches, answers[number].next_page_token = _page(found, asked.options, 0)
            answers[number].matches.extend(matches)
        return asked.collection if numbers else None

    async def _add_related(
        self,
        asked: "_Asked",
        answers: Sequence[pb.RecognizedObject],
        recognition: Recognition,
        embed_in: EmbedIn,
        deadline: Deadline,
    ) -> Collection | None:
        """The collection that was searched. While its space is another, those objects are embedded once more."""
        numbers = _routed(answers, Route.VIDEOS)
        if not numbers:
            return None
        collection = await self._related.collection()
        if collection is None:
            for number in numbers:
                answers[number].note = _NO_VIDEOS
            return None
        vectors = [recognition.objects[number].embedding for number in numbers]
        if collection.space != asked.collection.space:
            vectors = await embed_in(collection.space, numbers)
        for vector in vectors:
            collection.check_size(vector)
        wanted = await self._related.wanted(asked.request, asked.options, asked.watched)
        found = await self._related.matches(collection, vectors, wanted, deadline)
        for number, matches in zip(numbers, found, strict=True):
            answers[number].matches.extend(matches)
        return collection

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
                Wanted(collection, expression, needed, options.min_score, deadline, options.use_boost), vectors
            )


@dataclass(frozen=True)
class _Asked:
    """A request, its products, when it came, and the stored video whose moments answer it in place of a picture."""

    request: pb.RecognizeRequest
    collection: Collection
    options: validation.Search
    unnamed: Sought
    watched: pb.Video | None
    started: float
    recognizer_ms: float


def _routed(answers: Sequence[pb.RecognizedObject], route: Route) -> list[int]:
    """The numbers of the objects that are searched there."""
    return [number for number, answer in enumerate(answers) if answer.route == route]


def _of_moments(in_view: InView, embedded: Sequence[Recognition]) -> Recognition:
    """As if the frame had been looked at; the stages are those of the crops."""
    return Recognition(
        objects=[
            FoundObject(stored.label, stored.score, stored.box, each.objects[0].embedding)
            for stored, each in zip(in_view.objects, embedded, strict=True)
        ],
        engines={model: version for each in embedded for model, version in each.engines.items()},
        stages_ms={stage: max(each.stages_ms[stage] for each in embedded) for stage in embedded[0].stages_ms},
        width=in_view.width,
        height=in_view.height,
    )


def _check_asked(options: validation.Search, collection: Collection) -> None:
    """Raises InvalidRequest where the collection is of an earlier version and cannot tell."""
    if options.filter.availabilities:
        collection.check_has(["availability"], Reason.INVALID_FILTER)
    if options.use_boost:
        collection.check_has(["boost"], Reason.INVALID_ARGUMENT)


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
    ranks = ranks_by_score(ranked) if options.use_boost else {}
    return [_match(hit, ranks) for hit in ranked[first:end]], page_token(_PAGE_KIND, end) if more else ""


def _match(hit: Hit, ranks: Mapping[str, int]) -> pb.Match:
    """`ranks` are those without boosts, where boosts are used."""
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
        availability=row["availability"],
        boost=boost(hit) if ranks else None,
        rank_without_boost=ranks.get(row["product_id"]),
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
