"""Requests that the HTTP server cannot parse are answered in the shapes of the interface."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.server import ServerState

from deployments.http import protocol
from deployments.http.proxy import middlewares


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Of a server with the protocol that uvicorn finds once Serve has asked for the middlewares."""
    monkeypatch.setitem(HTTP_PROTOCOLS, "auto", HTTP_PROTOCOLS["auto"])
    middlewares()
    config = uvicorn.Config(PlainTextResponse("ok"), log_config=None)
    config.load()
    create = partial(config.http_protocol_class, config=config, server_state=ServerState(), app_state={})
    async with await asyncio.get_running_loop().create_server(create, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def sent(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer, once the server has closed the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()


def padded(path: str, size: int) -> str:
    return path + "a" * (size - len(path))


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/tts?text=", {"status": 40000000, "message": str}),
        ("/v1/asr?language=", {"result": "", "status": 40000000, "message": str}),
        ("/v1/models/", {"error": dict}),
        ("/image/imageToText?x=", {"status": "error", "error": dict}),
        ("/uploadFile/learningFiles?category=", {"result": False, "error": dict}),
        ("/docs?x=", {"error": dict}),
    ],
)
async def test_an_address_may_have_65535_bytes(port: int, path: str, shape: dict[str, Any]) -> None:
    status, _, body = await sent(port, get(padded(path, protocol.MAX_ADDRESS_BYTES)))
    assert (status, body) == (200, b"ok")
    status, headers, body = await sent(port, get(padded(path, protocol.MAX_ADDRESS_BYTES + 1)))
    assert (status, headers["content-type"], headers["connection"]) == (400, "application/json", "close")
    assert len(headers["x-request-id"]) == 36
    assert int(headers["content-length"]) == len(body)
    told = json.loads(body)
    assert told.keys() == shape.keys()
    for key, wanted in shape.items():
        assert isinstance(told[key], wanted) if isinstance(wanted, type) else told[key] == wanted
    assert "65,535 bytes" in body.decode()
    assert ("POST /v1/audio/speech" in body.decode()) == path.startswith("/v1/tts")


@pytest.mark.parametrize(
    "request_", [b"\x16\x03\x01\x02\x00", b"NONSENSE\r\n\r\n", b"GET /docs HTTP/1.1\r\nbad header\r\n\r\n"]
)
async def test_what_is_not_http(port: int, request_: bytes) -> None:
    status, headers, body = await sent(port, request_)
    assert status == 400
    assert headers["x-request-id"]
    assert json.loads(body)["error"]["message"] == "The request is not valid HTTP."
