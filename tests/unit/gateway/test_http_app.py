"""The HTTP face, over fakes at the two seams."""

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from gateway_fakes import FakeIndex, FakeRecognizer, found, free_port, product_row, upsert
from google.protobuf import json_format
from pydantic import SecretStr

from framelens_client.reasons import STATUS_OF, Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway import http_answers
from framelens_gateway import http_app as http_app_module
from framelens_gateway.calls import Calls
from framelens_gateway.crops import CropStore
from framelens_gateway.errors import GatewayError, Overloaded
from framelens_gateway.health import Health
from framelens_gateway.http_app import http_app
from framelens_gateway.json_requests import message_of
from framelens_gateway.metrics import Metrics
from framelens_gateway.settings import GatewaySettings

Connect = Callable[..., httpx.AsyncClient]
JSON = {"content-type": "application/json"}
FRAME = {"picture": base64.b64encode(b"frame").decode()}
REGION = {"region": {"x_min": 0.1, "y_min": 0.1, "x_max": 0.5, "y_max": 0.5}}
PATHS = [
    "/v1/recognize",
    "/v1/search-region",
    "/v1/products",
    "/v1/products:update",
    "/v1/products:delete",
    "/v1/products:list",
    "/v1/trial",
    "/v1/trial:stop",
]


@pytest.fixture
async def connect(
    make_calls: Callable[..., Calls], health: Health, metrics: Metrics, settings: GatewaySettings
) -> AsyncIterator[Connect]:
    """A client of the app with settings of the test's own."""
    clients: list[httpx.AsyncClient] = []

    def client(**changed: Any) -> httpx.AsyncClient:
        app = http_app(settings.model_copy(update=changed), make_calls(**changed), health, metrics)
        clients.append(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway"))
        return clients[-1]

    yield client
    for each in clients:
        await each.aclose()


@pytest.fixture
def http(connect: Connect) -> httpx.AsyncClient:
    return connect()


def reason(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"reason", "message"}
    assert error["message"]
    return answer.status_code, error["reason"]


async def test_a_picture_in_base64(http: httpx.AsyncClient, recognizer: FakeRecognizer, index: FakeIndex) -> None:
    recognizer.objects[b"frame"] = [found("cup"), found("person")]
    index.add(product_row("p", price=None))
    answer = await http.post("/v1/recognize", json={**FRAME, "search": {"top_k": 3, "filter": {"merchants": ["shop"]}}})
    assert answer.status_code == 200
    cup, person = answer.json()["objects"]
    assert cup["matches"][0]["id"] == "p"
    assert "price" not in cup["matches"][0]
    assert (cup["next_page_token"], person["matches"]) == ("", [])
    assert answer.json()["served"]["picture"] == {"width": 640, "height": 480}
    # The same shape as the contract's, with no field that it does not know.
    json_format.ParseDict(answer.json(), pb.RecognizeResponse())


async def test_a_picture_as_an_upload(http: httpx.AsyncClient, recognizer: FakeRecognizer) -> None:
    files = {"picture": ("a.jpg", b"\x00frame\xff", "image/jpeg")}
    assert (await http.post("/v1/recognize", files=files)).status_code == 200
    answer = await http.post("/v1/search-region", files=files, data={"request": json.dumps(REGION)})
    assert answer.status_code == 200
    assert [call.picture for call in recognizer.calls] == [b"\x00frame\xff"] * 2


async def test_pictures_of_products_as_uploads(http: httpx.AsyncClient, index: FakeIndex) -> None:
    inline = base64.b64encode(b"inline").decode()
    request = {
        "products": [
            {"product": {"id": "a"}, "pictures": [{}, {"picture": inline}]},
            {"product": {"id": "b"}, "pictures": [{}]},
        ]
    }
    files = [("picture", ("1", b"one")), ("picture", ("2", b"two"))]
    answer = await http.post("/v1/products", files=files, data={"request": json.dumps(request)})
    assert answer.status_code == 200
    assert [row["product_id"] for row in index.matching("products__embedder_test", "")] == ["a", "a", "b"]
    answer = await http.post("/v1/products", files=files[:1], data={"request": json.dumps(request)})
    assert reason(answer) == (400, "INVALID_ARGUMENT")
    assert "1 file named `picture` for 2 pictures that" in answer.text


async def test_the_catalogue(http: httpx.AsyncClient) -> None:
    ids = ["a/b c", "é%2F?", "plain"]
    body = json_format.MessageToDict(
        pb.UpsertProductsRequest(products=[upsert(each) for each in ids]), preserving_proto_field_name=True
    )
    assert [result.get("error") for result in (await http.post("/v1/products", json=body)).json()["results"]] == [
        None
    ] * 3
    for each in ids:
        found_product = await http.get(f"/v1/products/{quote(each, safe='')}")
        assert found_product.json()["product"]["id"] == each
    listed = await http.post("/v1/products:list", json={"page_size": 2})
    assert [each["product"]["id"] for each in listed.json()["products"]] == ["a/b c", "plain"]
    following = await http.post("/v1/products:list", json={"page_token": listed.json()["next_page_token"]})
    assert [each["product"]["id"] for each in following.json()["products"]] == ["é%2F?"]
    cheaper = {"updates": [{"id": "plain", "price": 1.5, "availability": "preorder"}, {"id": "none", "price": 1}]}
    first, second = (await http.post("/v1/products:update", json=cheaper)).json()["results"]
    assert (first, second["error"]["reason"]) == ({"id": "plain"}, "NOT_FOUND")
    plain = (await http.get("/v1/products/plain")).json()["product"]
    assert (plain["price"], plain["availability"]) == (1.5, "preorder")
    deleted = await http.post("/v1/products:delete", json={"ids": ["plain", "none"]})
    assert deleted.json() == {"deleted": ["plain"], "missing": ["none"]}
    assert reason(await http.get("/v1/products/plain")) == (404, "NOT_FOUND")
    assert reason(await http.get("/v1/products/")) == (400, "INVALID_ARGUMENT")


async def test_the_picture_of_a_match_may_be_kept_for_good(http: httpx.AsyncClient, crops: CropStore) -> None:
    name = "0123456789abcdef" * 2
    await crops.save({name: b"\xff\xd8crop"})
    answer = await http.get(f"/v1/pictures/{name}")
    assert (answer.content, answer.headers["content-type"]) == (b"\xff\xd8crop", "image/jpeg")
    assert "immutable" in answer.headers["cache-control"]
    again = await http.get(f"/v1/pictures/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for missing in ("f" * 32, "..%2F..%2Fsecret", "a/b"):
        assert reason(await http.get(f"/v1/pictures/{missing}")) == (404, "NOT_FOUND")


async def test_a_trial(http: httpx.AsyncClient, recognizer: FakeRecognizer) -> None:
    recognizer.models.add("detector__candidate")
    asked = {"kind": "canary", "share": 1, "engine": "detector__candidate", "bounds": {"max_p99_ms": 60000}}
    assert (await http.post("/v1/trial", json=asked)).json()["state"] == "running"
    answer = await http.post("/v1/recognize", json={**FRAME, "key": "user-1"})
    assert answer.json()["served"]["candidate"] == "detector__candidate"
    trial = (await http.get("/v1/trial")).json()
    assert (trial["canary"]["served"], trial["canary"]["control"]["requests"]) == (1, 0)
    json_format.ParseDict(trial, pb.Trial())
    assert (await http.post("/v1/trial:stop", json={})).json()["state"] == "stopped"
    assert reason(await http.post("/v1/trial", json={**asked, "share": 2})) == (400, "INVALID_ARGUMENT")
    assert reason(await http.post("/v1/trial", json={**asked, "engine": "embedder_x__candidate"})) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"unknown": 1}',
        b"[" * 100_000,
        b'{"search": ' * 50_000,
        b'{"\\ud800": 1}',
        b'{"' + b"x" * 100 + b'": "\\ud800"}',
    ],
    ids=lambda body: repr(body[:14]),
)
async def test_a_body_that_is_not_the_message(http: httpx.AsyncClient, path: str, body: bytes) -> None:
    assert reason(await http.post(path, content=body, headers=JSON)) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"search": {"filter": {"colour": "red"}}}', "INVALID_FILTER"),
        ('{"search": {"filter": {"min_price": "x"}}}', "INVALID_FILTER"),
        ('{"search": {"filter": {"min_price": NaN}}}', "INVALID_FILTER"),
        ('{"search": {"filter": {"min_price": "NaN"}}}', "INVALID_FILTER"),
        ('{"search": {"filter": {"max_price": -1}}}', "INVALID_FILTER"),
        ('{"search": {"filter": {"merchants": "shop"}}}', "INVALID_FILTER"),
        ('{"search": {"filter": {"merchants": ["a\\nb"]}}}', "INVALID_FILTER"),
        ('{"search": {"filter": {"merchants": ["\\ud800"]}}}', "INVALID_FILTER"),
        ('{"search": {"top_k": 101}}', "INVALID_ARGUMENT"),
        ('{"search": {"top_k": 1.5}}', "INVALID_ARGUMENT"),
        ('{"search": {"top_k": 1e99}}', "INVALID_ARGUMENT"),
        ('{"search": {"min_score": "NaN"}}', "INVALID_ARGUMENT"),
        ('{"search": {"min_score": Infinity}}', "INVALID_ARGUMENT"),
        ('{"search": {"min_score": 1e39}}', "INVALID_ARGUMENT"),
        ('{"max_objects": 99999999999999999999}', "INVALID_ARGUMENT"),
        ('{"picture": "!!!not base64"}', "INVALID_ARGUMENT"),
        ('{"picture": 1}', "INVALID_ARGUMENT"),
        ('{"picture": ""}', "INVALID_PICTURE"),
        ("{}", "INVALID_PICTURE"),
    ],
)
async def test_values_that_are_wrong(http: httpx.AsyncClient, body: str, expected: str) -> None:
    read = body if '"picture"' in body or body == "{}" else body.replace("{", '{"picture": "ZnJhbWU=", ', 1)
    assert reason(await http.post("/v1/recognize", content=read, headers=JSON)) == (400, expected)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"serch": {}}, 'no field "serch"; it has picture, search, min_object_score, max_objects, key, video_id,'),
        ({"picture": "@@@"}, "picture is not base64"),
        ({"search": {"top_k": "x"}}, 'search.top_k is "x"; it must be a whole number'),
    ],
)
async def test_a_fault_is_said_in_one_line_with_the_names_of_the_contract(
    http: httpx.AsyncClient, body: dict[str, Any], said: str
) -> None:
    message = (await http.post("/v1/recognize", json={**FRAME, **body})).json()["error"]["message"]
    assert said in message
    assert "\n" not in message


async def test_a_region_that_is_missing(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/search-region", json=FRAME)
    assert reason(answer) == (400, "INVALID_REGION")
    assert "missing" in answer.text


async def test_an_unknown_filter_of_a_list_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/products:list", json={"filter": {"colour": "red"}})
    assert reason(answer) == (400, "INVALID_FILTER")
    assert "colour" in answer.text


@pytest.mark.parametrize(
    ("files", "data"),
    [
        ({}, {"request": "{}"}),
        ({"photo": b"x"}, {}),
        ({"picture": b"x", "request": b"{}"}, {}),
        ({"picture": b"x"}, {"request": "{"}),
        ({"picture": b"x"}, {"request": "[]"}),
        ({"picture": b"x"}, {"other": "1"}),
        ([("picture", b"x"), ("picture", b"y")], {}),
    ],
)
async def test_forms_that_do_not_fit(http: httpx.AsyncClient, files: Any, data: dict[str, str]) -> None:
    if not files:
        boundary = "multipart/form-data; boundary=b"
        content = b'--b\r\ncontent-disposition: form-data; name="picture"\r\n\r\ntext\r\n--b--\r\n'
        answer = await http.post("/v1/recognize", content=content, headers={"content-type": boundary})
    else:
        answer = await http.post("/v1/recognize", files=files, data=data)
    assert reason(answer) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no boundary"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n--b--"),
        ("Multipart/Form-Data; boundary=b", b"--b\r\nbroken"),
    ],
)
async def test_broken_forms(http: httpx.AsyncClient, kind: str, content: bytes) -> None:
    answer = await http.post("/v1/recognize", content=content, headers={"content-type": kind})
    assert reason(answer) in ((400, "INVALID_ARGUMENT"), (400, "INVALID_PICTURE"))


@pytest.mark.parametrize("kind", ["image/jpeg", "text/plain", "application/x-www-form-urlencoded"])
async def test_a_content_type_that_is_not_read(http: httpx.AsyncClient, kind: str) -> None:
    answer = await http.post("/v1/recognize", content=b"\xff\xd8", headers={"content-type": kind})
    assert reason(answer) == (415, "UNSUPPORTED_FORMAT")
    assert "multipart/form-data" in answer.text


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", ""])
async def test_a_content_type_that_is_json(http: httpx.AsyncClient, kind: str) -> None:
    answer = await http.post("/v1/recognize", content=json.dumps(FRAME), headers={"content-type": kind} if kind else {})
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
@pytest.mark.parametrize("said", [True, False], ids=["said", "chunked"])
async def test_a_body_that_is_too_large(connect: Connect, kind: str, said: bool) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\ncontent-disposition: form-data; name="picture"; filename="a"\r\n\r\n'
        for _ in range(64):
            sent += 2**16
            yield b"x" * 2**16

    headers = {"content-type": kind, **({"content-length": str(2**21)} if said else {})}
    answer = await connect(max_message_bytes=2**20).post("/v1/recognize", content=pieces(), headers=headers)
    assert reason(answer) == (413, "PICTURE_TOO_LARGE")


@pytest.mark.parametrize(
    ("path", "size", "refused"),
    [
        ("/v1/recognize", 2_095_104, False),
        ("/v1/recognize", 2_110_000, True),
        ("/v1/search-region", 2_110_000, True),
        ("/v1/products", 2_110_000, False),
        ("/v1/products", 2**22 + 1, True),
    ],
)
@pytest.mark.parametrize("said", [True, False], ids=["said", "chunked"])
async def test_a_search_may_send_one_picture_and_a_catalogue_as_much_as_a_message_holds(
    connect: Connect, path: str, size: int, refused: bool, said: bool
) -> None:
    """Pictures have half a MiB at most here, so in base64, with what is beside them, 2 MiB."""
    body = b"{}" + b" " * (size - 2)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, size, 2**16):
            yield body[at : at + 2**16]

    http = connect(max_picture_bytes=2**19, max_message_bytes=2**22)
    answer = await http.post(path, content=body if said else pieces(), headers=JSON)
    assert (answer.status_code == 413) is refused
    if refused:
        assert "the request is larger than the " in answer.text


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "٣"])
async def test_an_odd_content_length_does_no_harm(http: httpx.AsyncClient, length: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", length.encode())]
    answer = await http.post("/v1/recognize", content=json.dumps(FRAME).encode(), headers=headers)
    assert answer.status_code in (200, 400)


async def test_a_picture_that_is_too_large(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/recognize", files={"picture": b"x" * 2049})
    assert reason(answer) == (413, "PICTURE_TOO_LARGE")


@pytest.mark.parametrize("why", list(Reason))
async def test_every_reason_has_its_status(http: httpx.AsyncClient, recognizer: FakeRecognizer, why: Reason) -> None:
    recognizer.fault.error = GatewayError(why, "as the test wished")
    answer = await http.post("/v1/recognize", json=FRAME)
    assert reason(answer) == (STATUS_OF[why][1], why)
    assert ("www-authenticate" in answer.headers) is (why is Reason.UNAUTHENTICATED)


@pytest.mark.parametrize(("seconds", "header"), [(0.01, "1"), (2.6, "3")])
async def test_shed_calls_say_when_to_come_back(
    http: httpx.AsyncClient, recognizer: FakeRecognizer, seconds: float, header: str
) -> None:
    recognizer.fault.error = Overloaded(4, seconds)
    answer = await http.post("/v1/recognize", json=FRAME)
    assert reason(answer) == (429, "OVERLOADED")
    assert answer.headers["retry-after"] == header


async def test_tokens(connect: Connect) -> None:
    http = connect(tokens=[SecretStr("secret")])
    assert (await http.post("/v1/recognize", json=FRAME, headers={"authorization": "Bearer secret"})).status_code == 200
    for value in (b"Bearer wrong", b"Basic secret", b"", b"Bearer \xe9\xff"):
        answer = await http.post("/v1/recognize", json=FRAME, headers=[(b"authorization", value)])
        assert reason(answer) == (401, "UNAUTHENTICATED")


async def body_that_is_not_read() -> AsyncIterator[bytes]:
    raise AssertionError("the body was read")
    yield b""


async def test_without_a_token_no_body_is_read(connect: Connect, metrics: Metrics) -> None:
    http = connect(tokens=[SecretStr("secret")])
    for headers in (JSON, {**JSON, "content-length": str(2**40)}, {**JSON, "x-timeout-ms": "soon"}):
        answer = await http.post("/v1/recognize", content=body_that_is_not_read(), headers=headers)
        assert reason(answer) == (401, "UNAUTHENTICATED")
    assert 'method="Recognize",outcome="UNAUTHENTICATED"} 3.0' in (await http.get("/metrics")).text


async def test_without_a_permit_no_body_is_read(connect: Connect, recognizer: FakeRecognizer) -> None:
    http = connect(max_in_flight=1)
    recognizer.fault.gate = asyncio.Event()
    first = asyncio.create_task(http.post("/v1/recognize", json=FRAME))
    while not recognizer.calls:
        await asyncio.sleep(0.005)
    answer = await http.post("/v1/recognize", content=body_that_is_not_read(), headers=JSON)
    assert reason(answer) == (429, "OVERLOADED")
    recognizer.fault.gate.set()
    assert (await first).status_code == 200


async def test_the_callers_time_begins_before_its_body(http: httpx.AsyncClient) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    answer = await http.post("/v1/recognize", content=slow(), headers={**JSON, "x-timeout-ms": "20"})
    assert reason(answer) == (504, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
async def test_a_body_that_stalls_gives_its_permit_back(connect: Connect, metrics: Metrics, kind: str) -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield b"--b\r\n"
        await asyncio.sleep(60)

    http = connect(read_timeout_s=0.05, max_in_flight=1)
    for _ in range(2):
        headers = {"content-type": kind, "x-timeout-ms": "900000000"}
        answer = await http.post("/v1/recognize", content=stalling(), headers=headers)
        assert reason(answer) == (504, "DEADLINE_EXCEEDED")
        assert "did not arrive in time" in answer.text
    assert metrics.registry.get_sample_value("framelens_in_flight", {"kind": "search"}) == 0


async def test_a_callers_time_has_a_ceiling(connect: Connect, recognizer: FakeRecognizer) -> None:
    await connect(max_deadline_s=3).post("/v1/recognize", json=FRAME, headers={"x-timeout-ms": "900000000"})
    assert 2 < recognizer.deadlines[0] <= 3


async def test_what_is_refused_while_it_is_read_is_counted(http: httpx.AsyncClient) -> None:
    await http.post("/v1/recognize", content=b"{", headers=JSON)
    await http.post("/v1/recognize", json=FRAME, headers={"x-timeout-ms": "soon"})
    await http.post("/v1/recognize", content=b"x", headers={"content-type": "text/plain"})
    text = (await http.get("/metrics")).text
    assert 'framelens_requests_total{method="Recognize",outcome="INVALID_ARGUMENT"} 2.0' in text
    assert 'framelens_requests_total{method="Recognize",outcome="UNSUPPORTED_FORMAT"} 1.0' in text


@pytest.mark.parametrize(("size", "aside"), [(100, False), (300_000, True)])
async def test_a_large_body_is_not_parsed_on_the_event_loop(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, size: int, aside: bool
) -> None:
    threads: list[threading.Thread] = []

    def parse(body: bytes, message: Any) -> Any:
        threads.append(threading.current_thread())
        return message_of(body, message)

    monkeypatch.setattr(http_app_module, "message_of", parse)
    picture = base64.b64encode(b"x" * size).decode()
    await http.post("/v1/recognize", json={"picture": picture})
    assert [thread is not threading.main_thread() for thread in threads] == [aside]


async def test_a_large_answer_is_not_written_on_the_event_loop(
    http: httpx.AsyncClient, index: FakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(*(product_row(f"p{n:03}", title="x" * 1000) for n in range(300)))
    threads: list[threading.Thread] = []

    class Response(http_answers.JSONResponse):
        def render(self, content: Any) -> bytes:
            threads.append(threading.current_thread())
            return super().render(content)

    monkeypatch.setattr(http_answers, "JSONResponse", Response)
    answers = [await http.post("/v1/products:list", json={"page_size": size}) for size in (1, 300)]
    assert [len(answer.json()["products"]) for answer in answers] == [1, 300]
    assert [thread is threading.main_thread() for thread in threads] == [True, False]


async def test_the_callers_time_is_passed_on(http: httpx.AsyncClient, recognizer: FakeRecognizer) -> None:
    await http.post("/v1/recognize", json=FRAME, headers={"x-timeout-ms": "2500"})
    assert 2 < recognizer.deadlines[0] <= 2.5
    recognizer.fault.gate = asyncio.Event()
    answer = await http.post("/v1/recognize", json=FRAME, headers={"x-timeout-ms": "20.5"})
    assert reason(answer) == (504, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("value", ["", "0", "-5", "soon", "nan", "inf", "1e10"])
async def test_a_time_that_is_none(http: httpx.AsyncClient, recognizer: FakeRecognizer, value: str) -> None:
    answer = await http.post("/v1/recognize", json=FRAME, headers={"x-timeout-ms": value})
    assert reason(answer) == (400, "INVALID_ARGUMENT")
    assert recognizer.calls == []


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("GET", "/v2", Reason.NOT_FOUND), ("GET", "/v1/recognize", Reason.METHOD_NOT_ALLOWED)],
)
async def test_unknown_paths_answer_in_the_same_form(
    http: httpx.AsyncClient, method: str, path: str, expected: Reason
) -> None:
    answer = await http.request(method, path)
    assert reason(answer) == (STATUS_OF[expected][1], expected)
    assert answer.headers.get("allow") == ("POST" if answer.status_code == 405 else None)


async def test_readiness_names_the_part_that_is_away(
    http: httpx.AsyncClient, health: Health, recognizer: FakeRecognizer
) -> None:
    assert (await http.get("/healthz")).json() == {"status": "ok"}
    await health._look()
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["details"]) == (200, {"triton": recognizer.operations})
    recognizer.is_ready = False
    await health._look()
    answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]) == (503, {"triton": False, "milvus": True, "space": True})


async def test_metrics_count_calls_and_stages(http: httpx.AsyncClient) -> None:
    await http.post("/v1/recognize", json=FRAME)
    await http.post("/v1/recognize", json={**FRAME, "max_objects": 0})
    text = (await http.get("/metrics")).text
    assert 'framelens_requests_total{method="Recognize",outcome="OK"} 1.0' in text
    assert 'framelens_requests_total{method="Recognize",outcome="INVALID_ARGUMENT"} 1.0' in text
    assert 'framelens_in_flight{kind="search"} 0.0' in text
    assert 'framelens_stage_seconds_count{stage="decode"} 1.0' in text


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(references(each) for each in value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


async def test_the_openapi_document_is_whole(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert not any("Stream" in name for name in known), "streams are not offered over HTTP"
    assert references(document) <= known
    for path in PATHS:
        operation = document["paths"][path]["post"]
        assert "application/json" in operation["requestBody"]["content"]
        assert "$ref" in operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert document["paths"]["/v1/products/{product_id}"]["get"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ] == {"$ref": "#/components/schemas/StoredProduct"}
    for path, answers in document["paths"].items():
        if path.startswith("/v1"):
            for operation in answers.values():
                errors = set(operation["responses"]) - {"200"}
                assert errors == {"400", "401", "404", "413", "415", "429", "500", "503", "504"}
                assert "OVERLOADED" in operation["responses"]["429"]["description"]
    operations = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(operations) == len(set(operations))
    assert (await http.get("/docs")).status_code == 200


@pytest.fixture
async def address(
    calls: Calls, health: Health, metrics: Metrics, settings: GatewaySettings, until: Callable[..., Any]
) -> AsyncIterator[tuple[str, int]]:
    """A real HTTP server: only there can a caller hang up."""
    port = free_port()
    config = uvicorn.Config(
        http_app(settings, calls, health, metrics), "127.0.0.1", port, lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    yield "127.0.0.1", port
    server.should_exit = True
    await serving


async def test_a_caller_that_hangs_up_ends_the_work(
    address: tuple[str, int], recognizer: FakeRecognizer, metrics: Metrics, until: Callable[..., Any]
) -> None:
    recognizer.fault.gate = asyncio.Event()
    body = json.dumps(FRAME).encode()
    _, writer = await asyncio.open_connection(*address)
    head = f"POST /v1/recognize HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    writer.write(head.encode() + b"\r\n\r\n" + body)
    await until(lambda: recognizer.running)
    writer.close()
    await until(lambda: recognizer.running == 0)
    labels = {"method": "Recognize", "outcome": "CANCELLED"}
    await until(lambda: metrics.registry.get_sample_value("framelens_requests_total", labels) == 1)


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
async def test_a_caller_that_hangs_up_in_its_body_is_no_fault(
    address: tuple[str, int], recognizer: FakeRecognizer, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    _, writer = await asyncio.open_connection(*address)
    writer.write(
        f"POST /v1/recognize HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: 999\r\n\r\n--b".encode()
    )
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await asyncio.sleep(0.1)
    assert recognizer.calls == []
    assert "Exception" not in caplog.text


async def test_a_caller_that_hangs_up_in_its_body_gives_its_permit_back(
    address: tuple[str, int], calls: Calls, metrics: Metrics, until: Callable[..., Any]
) -> None:
    _reader, writer = await asyncio.open_connection(*address)
    writer.write(b"POST /v1/recognize HTTP/1.1\r\nhost: g\r\ncontent-length: 1000\r\n\r\n{")
    admission = calls.methods["Recognize"].lane.admission
    await until(lambda: admission.in_flight == 1)
    writer.close()
    await until(lambda: admission.in_flight == 0)
    counted = {"method": "Recognize", "outcome": "CANCELLED"}
    assert metrics.registry.get_sample_value("framelens_requests_total", counted) == 1


async def test_a_refusal_reaches_a_caller_whose_body_is_not_read(
    address: tuple[str, int], recognizer: FakeRecognizer, calls: Calls
) -> None:
    for permit in range(4):
        calls.methods["Recognize"].lane.admission.in_flight = permit + 1
    async with httpx.AsyncClient() as client:
        url = f"http://{address[0]}:{address[1]}/v1/recognize"
        answer = await client.post(url, content=b"x" * 2**22, headers=JSON)
    assert reason(answer) == (429, "OVERLOADED")
