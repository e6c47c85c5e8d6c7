"""Makes sure that a space can be embedded in before anything is moved to it."""

from typing import Protocol

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from framelens_client.reasons import Reason
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import GatewayError, Unavailable
from framelens_gateway.index_admin.alterations import probe_picture
from framelens_gateway.index_admin.errors import Refused
from framelens_gateway.recognizer import WHOLE_PICTURE, Recognizer, RecognizerCall

_LOAD_TIMEOUT_S = 300
_PROBE_TIMEOUT_S = 60.0


class Models(Protocol):
    async def load(self, model: str) -> None:
        """Raises Refused, with what the server says."""
        ...


class TritonModels:
    """Triton's explicit model control."""

    def __init__(self, address: str) -> None:
        self._client = InferenceServerClient(address)

    async def load(self, model: str) -> None:
        try:
            await self._client.load_model(model, client_timeout=_LOAD_TIMEOUT_S)
        except InferenceServerException as error:
            raise Refused(f"space {model} is not loaded, and Triton cannot load it: {error.message()}") from error

    async def close(self) -> None:
        await self._client.close()


async def ensure_space(recognizer: Recognizer, models: Models, space: str) -> int:
    """The width of a space's vectors, from embedding a picture in it; it is loaded if it was not.

    Raises Refused where that cannot be, Unavailable and DeadlineExceeded where Triton is away.
    """
    try:
        return await _probe(recognizer, space)
    except Unavailable as error:
        if error.reason is not Reason.SPACE_NOT_LOADED:
            raise
    await models.load(space)
    try:
        return await _probe(recognizer, space)
    except GatewayError as error:
        raise Refused(f"{space} is loaded, but does not embed: {error.message}") from error


async def _probe(recognizer: Recognizer, space: str) -> int:
    call = RecognizerCall(probe_picture(), space, regions=(WHOLE_PICTURE,))
    recognition = await recognizer.recognize(call, Deadline.after(_PROBE_TIMEOUT_S))
    return int(recognition.objects[0].embedding.size)
