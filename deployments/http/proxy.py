"""Middleware of Serve's HTTP proxy, and its protocol.

Serve lets a client set its own timeout by a header, and by another keep its work running after it disconnects. Both are
the server's to decide. A client's request id is logged and sent back: a long one is replaced by Serve's own.
`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=deployments.http.proxy:middlewares` installs this.
"""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.http import protocol

STRIPPED_HEADERS = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})
MAX_REQUEST_ID_BYTES = 64


class StripHeaders:
    """ASGI middleware: drops headers that would override the server's own decisions."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on without them."""
        if "headers" in scope:
            scope = {**scope, "headers": [header for header in scope["headers"] if _is_kept(*header)]}
        await self._app(scope, receive, send)


def _is_kept(name: bytes, value: bytes) -> bool:
    if name.lower() == b"x-request-id":
        return len(value) <= MAX_REQUEST_ID_BYTES
    return name.lower() not in STRIPPED_HEADERS


def middlewares() -> list[Middleware]:
    """The middlewares, as Serve asks for them when a proxy starts, just before its server."""
    protocol.install()
    return [Middleware(StripHeaders)]
