"""What Serve's HTTP proxy does before it hands a request on.

Serve lets a client set its own timeout by a header and forbid the cancelling of its work when it leaves. Both are ours
to decide. `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=deployments.http.proxy:middlewares` puts this in front.
"""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

NOT_FOR_CLIENTS = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})


class StripHeaders:
    """ASGI middleware: headers that would override the server's own decisions are dropped."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request without them."""
        if "headers" in scope:
            kept = [(name, value) for name, value in scope["headers"] if name.lower() not in NOT_FOR_CLIENTS]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """What Serve asks for when a proxy starts."""
    return [Middleware(StripHeaders)]
