"""How the bodies of requests are read: under deadlines, each with a cap, and only where a route takes one.

At most `MAX_READING` requests at once may be reading theirs, far fewer than the ingress has places: whoever sends half
a body and waits takes no place from the routes that read none.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.http.errors import BodyTimeout, describe
from deployments.http.families import Family, family_of
from pipelines.contracts.errors import InputTooLarge, InvalidInput, Overloaded, SensoriumError

JSON_DEADLINE_S = 10
CHUNK_DEADLINE_S = 30
MAX_READING = 1024
MAX_HELD_BYTES = 256_000_000
SMALL_BODY_BYTES = 65_536
MAX_DEPTH = 64
BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_INNERMOST = re.compile(rb"[\[{][^\[\]{}]*+[\]}]")


class Bodies:
    """ASGI middleware: reads JSON ahead, watches over uploads, leaves alone what no route reads.

    Args:
        app: what follows.
        max_json_bytes: cap of a JSON body; uploads have caps of their own.
    """

    def __init__(self, app: ASGIApp, max_json_bytes: int) -> None:
        self._app = app
        self._max_json_bytes = max_json_bytes
        self._reading = 0
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        family = family_of(scope["path"])
        if scope["method"] in BODILESS or family.public:
            await self._app(scope, _replayed(b"", receive), send)
        elif family.streamed:
            await self._app(scope, self._watched(receive), send)
        else:
            await self._with_json(family, scope, receive, send)

    async def _with_json(self, family: Family, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._place():
                body = await self._read(Headers(scope=scope), receive)
            check_depth(body)
        except SensoriumError as error:
            await family.response(describe(error))(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)

    async def _read(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        too_large = InputTooLarge(f"The body exceeds the {self._max_json_bytes:,}-byte limit.")
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._max_json_bytes:
            raise too_large
        body = bytearray()
        held = 0
        more = True
        try:
            async with asyncio.timeout(JSON_DEADLINE_S):
                while more:
                    message = await receive()
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self._max_json_bytes:
                        raise too_large
                    self._held_bytes += max(0, len(body) - SMALL_BODY_BYTES) - held
                    held = max(0, len(body) - SMALL_BODY_BYTES)
                    if held and self._held_bytes > MAX_HELD_BYTES:
                        raise Overloaded("Too many large bodies are being received.")
        except TimeoutError:
            raise BodyTimeout(f"The body did not arrive within {JSON_DEADLINE_S} seconds.") from None
        finally:
            self._held_bytes -= held
        return bytes(body)

    def _watched(self, receive: Receive) -> Receive:
        """The pieces of an upload, each within its deadline."""
        whole = False

        async def next_piece() -> Message:
            nonlocal whole
            if whole:
                return await receive()
            with self._place():
                try:
                    async with asyncio.timeout(CHUNK_DEADLINE_S):
                        message = await receive()
                except TimeoutError:
                    raise BodyTimeout(f"Nothing of the body arrived for {CHUNK_DEADLINE_S} seconds.") from None
            whole = not message.get("more_body", False)
            return message

        return next_piece

    @contextmanager
    def _place(self) -> Iterator[None]:
        """A place to wait for a client's bytes."""
        if self._reading >= MAX_READING:
            raise Overloaded("Too many bodies are being received.")
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read, then what follows it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def check_depth(body: bytes) -> None:
    """Refuse JSON of more than `MAX_DEPTH` levels, before a parser or pickle recurses into it.

    Raises:
        InvalidInput: it has more.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    left = _STRING.sub(b"", body)
    for _ in range(MAX_DEPTH):
        left, removed = _INNERMOST.subn(b"", left)
        if not removed:
            break
    opened = left.count(b"[") + left.count(b"{")
    if opened > (0 if removed else MAX_DEPTH):  # brackets without a partner are no JSON, which the route says
        raise InvalidInput(f"The body has more than {MAX_DEPTH} levels of nesting.")
