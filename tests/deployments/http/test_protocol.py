"""Requests that the HTTP server cannot parse are answered in the shapes of the interface."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.server import ServerState

from deployments.http import protocol
from deployments.http.proxy import middlewares


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, if there is one; answer `ok`."""
    await Request(scope, receive).body()
    await PlainTextResponse("ok")(scope, receive, send)


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Of a server with the protocol that uvicorn finds once Serve has asked for the middlewares."""
    monkeypatch.setitem(HTTP_PROTOCOLS, "auto", HTTP_PROTOCOLS["auto"])
    middlewares()
    config = uvicorn.Config(application, log_config=None)
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


async def pushed(port: int, head: bytes, endless: bytes, size: int) -> tuple[bytes, int, float]:
    """Answer to a head that never ends, how much of `size` bytes was taken before it came, and after how long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began_s = time.monotonic()
    writer.write(head)
    answer = asyncio.ensure_future(reader.read(4096))
    sent = 0
    while sent < size and not answer.done():
        writer.write(endless)
        sent += len(endless)
        await writer.drain()
        await asyncio.sleep(0)
    got = await asyncio.wait_for(answer, 10)
    took_s = time.monotonic() - began_s
    writer.close()
    return got, sent, took_s


CHUNKED = b"POST /v1/tts HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "endless", "status"),
    [
        (b"GET /v1/tts HTTP/1.1\r\nX-A: ", b"a" * 16_384, b"431"),
        (b"GET /v1/tts HTTP/1.1\r\n", b"X-A: 1\r\n" * 2000, b"431"),
        (b"GET /v1/tts HTTP/1.1\r\n", b"a" * 16_384, b"431"),
        (b"GET /v1/tts?text=", b"a" * 16_384, b"400"),
        (CHUNKED + b"0\r\nX-A: ", b"a" * 16_384, b"431"),
        (CHUNKED + b"0\r\n", b"X-A: 1\r\n" * 2000, b"431"),
        (CHUNKED + b"1;a=", b"a" * 16_384, b"431"),
    ],
    ids=["header", "headers", "name", "address", "trailer", "trailers", "chunk"],
)
async def test_an_endless_head_is_refused_early(port: int, head: bytes, endless: bytes, status: bytes) -> None:
    answer, sent, took_s = await pushed(port, head, endless, 16 << 20)
    assert status in answer.split(b"\r\n", 1)[0] or head.startswith(CHUNKED)
    assert sent < 2 << 20
    assert took_s < 1


async def test_headers_may_have_64_kib(port: int) -> None:
    def with_header(size: int) -> bytes:
        return get("/v1/tts").replace(b"\r\n\r\n", b"\r\nx-a: " + b"a" * size + b"\r\n\r\n")

    others = len(b"HostConnectionx-a127.0.0.1close")
    status, _, _ = await sent(port, with_header(protocol.MAX_HEADER_BYTES - others))
    assert status == 200
    status, headers, body = await sent(port, with_header(protocol.MAX_HEADER_BYTES - others + 1))
    assert (status, headers["content-type"], headers["connection"]) == (431, "application/json", "close")
    assert len(headers["x-request-id"]) == 36
    assert json.loads(body)["status"] == 40000000
    assert "65,536 bytes" in json.loads(body)["message"]


async def test_a_large_body_is_no_head(port: int) -> None:
    """In one piece, and in many small chunks."""
    whole = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000)
    assert (await sent(port, whole))[0] == 200
    chunks = b"POST / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 100_000
    assert (await sent(port, chunks + b"0\r\n\r\n"))[0] == 200
