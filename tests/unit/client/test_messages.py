# ruff: noqa: S105 (fakes come as fixtures, which have no importable type; tokens are no secrets)
from google.protobuf.json_format import MessageToDict

from framelens_client import as_json, messages
from framelens_client.v1 import framelens_pb2 as pb


def test_json_is_the_contracts(recognition: pb.RecognizeResponse) -> None:
    expected = MessageToDict(recognition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    assert as_json(messages.recognition(recognition)) == expected


def test_json_has_proto_names_and_short_floats(recognition: pb.RecognizeResponse) -> None:
    cup = as_json(messages.recognition(recognition))["objects"][0]
    assert cup["next_page_token"] == "more"
    assert cup["score"] == 0.95
    assert "price" not in cup["matches"][1]


def test_nothing_of_a_stored_product_is_dropped() -> None:
    stored = pb.StoredProduct(
        product=pb.Product(id="p", title="t", url="u", merchant="m", category="c", price=0.0, currency="EUR"),
        pictures=[pb.StoredPicture(picture_id="a", region=pb.Box(x_max=1, y_max=1)), pb.StoredPicture(picture_id="b")],
        updated_at=12.5,
    )
    result = messages.stored_product(stored)
    assert result.product.price == 0.0
    assert as_json(result) == MessageToDict(
        stored, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
