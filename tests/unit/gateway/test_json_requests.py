"""What is wrong with a JSON body is said in the contract's names, in one line."""

import base64

import pytest

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.json_requests import message_of


@pytest.mark.parametrize(
    ("body", "said", "reason"),
    [
        (
            '{"serch": {}}',
            'RecognizeRequest has no field "serch"; it has picture, search, min_object_score, max_objects, key, '
            "video_id, timestamp_s, fresh, related, unnamed_objects",
            Reason.INVALID_ARGUMENT,
        ),
        (
            '{"search": {"top": 1}}',
            'SearchOptions has no field "top"; it has top_k, min_score, filter, use_boost',
            Reason.INVALID_ARGUMENT,
        ),
        (
            '{"search": {"filter": {"colour": "red"}}}',
            'Filter has no field "colour"; it has categories, merchants, min_price, max_price, availabilities',
            Reason.INVALID_FILTER,
        ),
        ('{"search": {"top_k": "x"}}', 'search.top_k is "x"; it must be a whole number', Reason.INVALID_ARGUMENT),
        ('{"search": {"topK": 1.5}}', "search.top_k is 1.5; it must be a whole number", Reason.INVALID_ARGUMENT),
        ('{"max_objects": 1e99}', "max_objects is 1e+99; it must be a whole number", Reason.INVALID_ARGUMENT),
        ('{"search": 3}', "search is 3; it must be an object", Reason.INVALID_ARGUMENT),
        ('{"search": {"filter": []}}', "search.filter is []; it must be an object", Reason.INVALID_FILTER),
        (
            '{"search": {"filter": {"merchants": "shop"}}}',
            'search.filter.merchants is "shop"; it must be a list',
            Reason.INVALID_FILTER,
        ),
        (
            '{"search": {"filter": {"merchants": ["a", 1]}}}',
            "search.filter.merchants is 1; it must be text",
            Reason.INVALID_FILTER,
        ),
        (
            '{"min_object_score": {"a": 1}}',
            'min_object_score is {"a": 1}; it must be a number',
            Reason.INVALID_ARGUMENT,
        ),
        ('{"key": 5}', "key is 5; it must be text", Reason.INVALID_ARGUMENT),
        ("[]", "the body is JSON, but not an object", Reason.INVALID_ARGUMENT),
        (
            "{",
            "the body is not a RecognizeRequest in JSON: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)",
            Reason.INVALID_ARGUMENT,
        ),
    ],
)
def test_what_does_not_fit(body: str, said: str, reason: Reason) -> None:
    with pytest.raises(InvalidRequest) as refused:
        message_of(body.encode(), pb.RecognizeRequest())
    assert (refused.value.message, refused.value.reason) == (said, reason)


@pytest.mark.parametrize("text", ["@@@", "Zm9v!", "Z", "Zm9vY", "Zm9v data", "é", "====@", "\\ud800"])
@pytest.mark.parametrize("picture", ["picture", "products.pictures.picture"])
def test_text_that_is_not_base64_is_no_empty_picture(text: str, picture: str) -> None:
    single = f'{{"picture": "{text}"}}'
    if picture == "picture":
        body, message = single, pb.RecognizeRequest()
    else:
        body, message = f'{{"products": [{{"pictures": [{{}}, {single}]}}]}}', pb.UpsertProductsRequest()
    with pytest.raises(InvalidRequest, match=rf"^{picture} is not base64; ") as refused:
        message_of(body.encode(), message)
    assert refused.value.reason is Reason.INVALID_ARGUMENT


@pytest.mark.parametrize("size", [0, 1, 2, 3, 100])
def test_every_form_of_base64_is_read(size: int) -> None:
    content = bytes(range(255, 255 - size, -1))
    plain, folded = base64.b64encode(content).decode(), base64.encodebytes(content).decode().replace("\n", "\\n")
    for text in (plain, plain.rstrip("="), folded, base64.urlsafe_b64encode(content).decode()):
        assert message_of(f'{{"picture": "{text}"}}'.encode(), pb.RecognizeRequest()).picture == content


def test_names_of_the_contract_and_of_protobufs_json_are_read() -> None:
    for body in (b'{"search": {"top_k": 3}, "max_objects": null}', b'{"search": {"topK": 3}}'):
        assert message_of(body, pb.RecognizeRequest()) == pb.RecognizeRequest(search=pb.SearchOptions(top_k=3))


def test_a_long_value_is_cut() -> None:
    with pytest.raises(InvalidRequest) as refused:
        message_of(b'{"search": "' + b"x" * 1000 + b'"}', pb.RecognizeRequest())
    assert len(refused.value.message) < 120
