"""The page's files and samples over HTTP."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from framelens_gateway.page.paths import add_page

STATIC = Path(__file__).parents[4] / "gateway" / "framelens_gateway" / "page" / "static"


@pytest.fixture
def http(tmp_path: Path) -> httpx.AsyncClient:
    app = FastAPI()
    add_page(app, tmp_path / "samples")
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "kitchen.webm").write_bytes(bytes(range(100)))
    (tmp_path / "samples" / "notes.txt").write_text("not listed")
    (tmp_path / "secret.png").write_text("outside")
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


@pytest.mark.parametrize("path", ["/", *(f"/page/{file.name}" for file in sorted(STATIC.iterdir()))])
async def test_every_file_comes_with_its_policy_and_is_asked_for_again_in_vain(
    http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = await http.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("name", "kind"), [("main.js", "text/javascript"), ("page.css", "text/css"), ("icon.svg", "image/svg+xml")]
)
async def test_files_have_the_kinds_that_browsers_insist_on(http: httpx.AsyncClient, name: str, kind: str) -> None:
    assert (await http.get(f"/page/{name}")).headers["content-type"].partition(";")[0] == kind


async def test_samples_are_read_by_ranges(http: httpx.AsyncClient) -> None:
    (sample,) = (await http.get("/samples.json")).json()
    assert (sample["name"], sample["kind"]) == ("kitchen.webm", "video")
    answer = await http.get("/samples/kitchen.webm", headers={"range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (206, bytes(range(10, 20)))
    assert answer.headers["content-type"] == "video/webm"


@pytest.mark.parametrize(
    "path",
    [
        "/samples/notes.txt",
        "/samples/..%2Fsecret.png",
        "/samples/%2e%2e/secret.png",
        "/page/..%2Fsamples.yaml",
        "/page/__init__.py",
        "/page/",
    ],
)
async def test_what_is_not_listed_is_not_there(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404
