"""A server that speaks as much of OpenAI's chat completions as a test's script wants, on its own socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Script = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request that the server got, and the means to answer it."""

    def __init__(self, head: str, body: dict[str, Any], reader, writer) -> None:
        self.head, self.body = head, body
        self.reader, self.writer = reader, writer

    async def head_of(self, status: int = 200, kind: str = "text/event-stream", headers: str = "") -> None:
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close\r\n{headers}\r\n"
        await self.send(head.encode())

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def event(self, **event: Any) -> None:
        await self.send(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n")

    async def say(self, text: str | None = None, finish: str | None = None, **delta: Any) -> None:
        said = {**({} if text is None else {"content": text}), **delta}
        await self.event(choices=[{"index": 0, "delta": said, "finish_reason": finish}])

    async def done(self, prompt: int = 7, completion: int = 3) -> None:
        await self.event(choices=[], usage={"prompt_tokens": prompt, "completion_tokens": completion})
        await self.send(b"data: [DONE]\n\n")

    async def answer(self, text: str) -> None:
        """A whole answer."""
        await self.head_of()
        await self.say(text, "stop")
        await self.done()


@asynccontextmanager
async def server(script: Script) -> AsyncIterator[tuple[str, list[Exchange]]]:
    """Its base URL, and what it was asked."""
    asked: list[Exchange] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split()[0])
        exchange = Exchange(head, json.loads(await reader.readexactly(length)), reader, writer)
        asked.append(exchange)
        try:
            await script(exchange)
        finally:
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        port = running.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1", asked
