"""Finds what is to be tried: an engine that is loaded beside the live one, or the collection of another space."""

from dataclasses import dataclass, replace

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.errors import InvalidRequest, NotFound, Unavailable
from framelens_gateway.index import Index, next_of
from framelens_gateway.recognizer import RECOGNIZER, Recognizer
from framelens_gateway.routing import Route
from framelens_gateway.serving import Serving, Servings

_SUFFIX = "__candidate"
_EMBEDDERS = "embedder_"
_NEXT = "next"
_NEXT_ALIAS = next_of(Route.PRODUCTS)
# A recognizer of the candidate's own: one that is shared makes live requests wait for a slow candidate in their batch.
_OWN_RECOGNIZER = f"{RECOGNIZER}{_SUFFIX}"


@dataclass(frozen=True)
class Candidate:
    """A model, or the alias of a space; `sees_regions` where it has a part in searching a region."""

    name: str
    servings: Servings
    sees_regions: bool
    shares_recognizer: bool


@dataclass(frozen=True)
class DetectorServings:
    """Live, but for the detector."""

    live: Servings
    detector: str
    recognizer: str

    async def serving(self) -> Serving:
        return replace(await self.live.serving(), detector=self.detector, recognizer=self.recognizer)


@dataclass(frozen=True)
class EmbedderServings:
    """Live, but for the embedder, which is another build of the live collection's space."""

    live: Servings
    embedder: str
    recognizer: str

    async def serving(self) -> Serving:
        """Raises Unavailable where the live alias has moved to another space: the candidate is none of that one."""
        serving, space = await self.live.serving(), self.embedder.removesuffix(_SUFFIX)
        if serving.collection.space != space:
            raise Unavailable(
                Reason.SPACE_MISMATCH,
                f"{self.embedder} is of space {space}, and {serving.collection.name} of {serving.collection.space}; "
                "try a space with its own collection",
            )
        return replace(serving, embedder=self.embedder, recognizer=self.recognizer)


@dataclass(frozen=True)
class SpaceServings:
    """The collection behind an alias, and its space, with the live detector."""

    index: Index
    alias: str
    detector: str
    recognizer: str

    async def serving(self) -> Serving:
        """Raises Unavailable where the alias is gone."""
        collection = await self.index.resolve(self.alias)
        if collection is None:
            raise Unavailable(Reason.SPACE_NOT_LOADED, f"the alias {self.alias} is gone; stop the trial of it")
        return Serving(collection, collection.space, self.detector, self.recognizer)


class Candidates:
    """Makes candidates, of what is there and fits; `detector` is the live one."""

    def __init__(self, live: Servings, index: Index, recognizer: Recognizer, detector: str) -> None:
        self._live, self._index, self._recognizer, self._detector = live, index, recognizer, detector

    async def find(self, request: pb.StartTrialRequest) -> Candidate:
        """Raises InvalidRequest, NotFound where the candidate is not there, Unavailable where it does not fit."""
        own = await self._recognizer.model_ready(_OWN_RECOGNIZER)
        recognizer = _OWN_RECOGNIZER if own else RECOGNIZER
        match request.WhichOneof("candidate"):
            case "engine":
                return await self._engine(request.engine, recognizer)
            case "space":
                return await self._space(request.space, recognizer)
        raise InvalidRequest("the trial names no candidate; give an engine, or the space `next`")

    async def _engine(self, model: str, recognizer: str) -> Candidate:
        base = model.removesuffix(_SUFFIX)
        if base == model or not (base == self._detector or base.startswith(_EMBEDDERS)):
            raise InvalidRequest(
                f"{model!r} is no candidate engine; name {self._detector}{_SUFFIX}, or {_EMBEDDERS}NAME{_SUFFIX}"
            )
        if not await self._recognizer.model_ready(model):
            raise NotFound(
                f"model {model} is not ready in Triton; load it with `framelens-engines candidate {base}/NUMBER`"
            )
        shared = recognizer == RECOGNIZER
        if base == self._detector:
            return Candidate(model, DetectorServings(self._live, model, recognizer), False, shared)
        servings = EmbedderServings(self._live, model, recognizer)
        await self._check(await servings.serving())
        return Candidate(model, servings, True, shared)

    async def _space(self, space: str, recognizer: str) -> Candidate:
        if space != _NEXT:
            raise InvalidRequest(f"{space!r} is no candidate space; the one that can be tried is `{_NEXT}`")
        if await self._index.resolve(_NEXT_ALIAS) is None:
            raise NotFound(f"there is no alias {_NEXT_ALIAS}; begin the move to a new space first")
        servings = SpaceServings(self._index, _NEXT_ALIAS, self._detector, recognizer)
        await self._check(await servings.serving())
        return Candidate(_NEXT_ALIAS, servings, True, recognizer == RECOGNIZER)

    async def _check(self, serving: Serving) -> None:
        """Raises Unavailable where the embedder is not loaded, or its vectors are not the collection's."""
        size = await self._recognizer.embedding_size(serving.embedder)
        if size != serving.collection.size:
            raise Unavailable(
                Reason.SPACE_MISMATCH,
                f"{serving.embedder} answers with {size} dimensions and collection {serving.collection.name} has "
                f"{serving.collection.size}; they are not of one space",
            )
