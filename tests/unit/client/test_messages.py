# ruff: noqa: S105 (fakes come as fixtures, which have no importable type; tokens are no secrets)
from google.protobuf.json_format import MessageToDict, ParseDict

from framelens_client import as_json, messages, trial_messages
from framelens_client.v1 import framelens_pb2 as pb


def test_json_is_the_contracts(recognition: pb.RecognizeResponse) -> None:
    expected = MessageToDict(recognition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    assert as_json(messages.recognition(recognition)) == expected


def test_json_has_proto_names_and_short_floats(recognition: pb.RecognizeResponse) -> None:
    cup = as_json(messages.recognition(recognition))["objects"][0]
    assert cup["next_page_token"] == "more"
    assert cup["score"] == 0.95
    assert "price" not in cup["matches"][1]


def test_nothing_of_a_match_is_dropped() -> None:
    video = pb.VideoMatch(account="ann", published_at=5.5, start_s=1.5, end_s=9.5, at_s=3.5, label="cup")
    answer = pb.RecognizeResponse(
        objects=[
            pb.RecognizedObject(
                label="object",
                box=pb.Box(),
                match_threshold=0.5,
                matches=[
                    pb.Match(kind="product", id="p", availability="in_stock", boost=0.125, rank_without_boost=3),
                    pb.Match(kind="video", id="v", video=video),
                ],
            )
        ],
        served=pb.Served(source="moments"),
    )
    assert as_json(messages.recognition(answer)) == MessageToDict(
        answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def test_nothing_of_a_trial_is_dropped(canary_trial: pb.Trial, shadow_trial: pb.Trial) -> None:
    for message in (canary_trial, shadow_trial):
        shape = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        assert as_json(trial_messages.trial(message)) | {"shadow": 0} == shape | {"shadow": 0}
        assert ParseDict(as_json(trial_messages.trial(message)), pb.Trial()).canary == message.canary


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


def test_stages_come_as_they_happen_whatever_the_order_on_the_wire() -> None:
    names = ["decode", "resize", "detect", "nms", "crop", "embed", "queue", "recognizer", "search", "total"]
    served = pb.Served(stages_ms=dict.fromkeys((*reversed(names), "new"), 1.0))
    result = messages.recognition(pb.RecognizeResponse(served=served)).served
    assert list(result.stages_ms) == ["new", *names]
