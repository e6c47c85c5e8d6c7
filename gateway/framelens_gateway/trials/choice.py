"""Chooses who serves a request, so that the same caller always meets the same engines, on every gateway."""

import hashlib
from enum import StrEnum

from framelens_client.v1 import framelens_pb2 as pb

# Of longer pictures only both ends are hashed: enough to tell pictures apart, at a cost that does not grow.
_END = 16 * 1024
_WHOLE = 2**64
_LONGEST_HASH_KEY = 64


class Group(StrEnum):
    """The control group is as large as the candidate's, as far as there are requests for it."""

    CANDIDATE = "candidate"
    CONTROL = "control"
    REST = "rest"


def group_of(request: pb.RecognizeRequest | pb.SearchRegionRequest, share: float, candidate: str) -> Group:
    """A larger share keeps those that a smaller one has chosen; another candidate chooses others."""
    at = _fraction(_key_of(request), candidate)
    if at < share:
        return Group.CANDIDATE
    return Group.CONTROL if at < 2 * share else Group.REST


def _fraction(key: bytes, candidate: str) -> float:
    """In 0..1, evenly."""
    digest = hashlib.blake2b(key, digest_size=8, key=candidate.encode()[:_LONGEST_HASH_KEY]).digest()
    return int.from_bytes(digest, "big") / _WHOLE


def _key_of(request: pb.RecognizeRequest | pb.SearchRegionRequest) -> bytes:
    if request.key:
        return b"key " + request.key.encode()
    picture = request.picture
    if len(picture) <= 2 * _END:
        return b"picture " + picture
    return b"picture " + str(len(picture)).encode() + picture[:_END] + picture[-_END:]
