"""The paths of the page. They take no token: a browser cannot send one before the page has asked for it."""

import asyncio
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from framelens_gateway.page.samples import Samples

_STATIC = Path(__file__).with_name("static")
# Titles and merchants come from anybody: what they smuggle in finds no way to run, to load, or to send.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # Asked for again each time, and answered with 304 by its ETag.
    "cache-control": "no-cache",
}


def add_page(app: FastAPI, samples_dir: Path | None) -> None:
    """`/`, its files under `/page/`, and samples."""
    files, samples = StaticFiles(directory=_STATIC), Samples(samples_dir)

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return await _file(files, "index.html", request)

    @app.get("/page/{name}", include_in_schema=False)
    async def page_file(name: str, request: Request) -> Response:
        return await _file(files, name, request)

    @app.get("/samples.json", include_in_schema=False)
    async def list_samples() -> JSONResponse:
        listed = await asyncio.to_thread(samples.listed)
        return JSONResponse([sample.model_dump() for sample in listed], headers=_HEADERS)

    @app.get("/samples/{name}", include_in_schema=False)
    async def sample(name: str, request: Request) -> Response:
        listed = await asyncio.to_thread(samples.listed)
        if samples.folder is None or name not in {each.name for each in listed}:
            raise HTTPException(404, "no such sample")
        return await _file(StaticFiles(directory=samples.folder, follow_symlink=True), name, request)


async def _file(files: StaticFiles, name: str, request: Request) -> Response:
    """With ETag, and by ranges, which videos are read by."""
    answer = await files.get_response(name, request.scope)
    answer.headers.update(_HEADERS)
    return answer
