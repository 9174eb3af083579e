"""Which sites may call: names of this server, pages that call from a browser, and what pages may do with answers.

A page of another site that is open in a person's browser can reach a server on loopback. Unless API keys protect the
server, requests of such a page are refused: those that carry its `Origin`, those that the browser says come from
another site (`Sec-Fetch-Site`: images and audio carry no origin), and, with keys as well, those whose `Host` is a name
made to point here.
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.http.errors import CrossSite, describe
from deployments.http.families import CONSOLE, HEALTH, PAGE, READINESS, SIGNED, family_of
from deployments.http.network import is_loopback
from deployments.settings import Settings
from pipelines.contracts.errors import InvalidInput, SensoriumError

PROBES = (HEALTH, READINESS)
DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int | None]
"""Scheme, host name and port."""


class Sites:
    """ASGI middleware: checks `Host`, `Origin` and `Sec-Fetch-*`; sets the headers that pages of other sites heed.

    Args:
        app: what follows.
        settings: of the installation.
        is_protected: whether calls need an API key.
    """

    def __init__(self, app: ASGIApp, settings: Settings, is_protected: Callable[[], bool]) -> None:
        self._app = app
        self._is_protected = is_protected
        self._public = origin_of(settings.public_url)
        own = self._public[1] if self._public else ""
        self._hosts = {name.lower() for name in (own, *settings.allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request and pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        family, headers = family_of(scope["path"]), Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.setdefault("X-Content-Type-Options", "nosniff")
                answer.setdefault("Content-Security-Policy", "frame-ancestors 'none'")
                answer.setdefault("Cross-Origin-Resource-Policy", "cross-origin" if family is SIGNED else "same-origin")
            await send(message)

        try:
            if family not in PROBES:
                self._check_host(headers)
            if not self._is_protected():
                self._check_origin(scope, headers)
                self._check_fetch(scope, headers)
        except SensoriumError as error:
            await family.response(describe(error))(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _check_host(self, headers: Mapping[str, str]) -> None:
        host = headers.get("host", "")
        found = origin_of(f"http://{host}")
        if host and not (found and (found[1] in self._hosts or is_loopback(found[1]))):
            raise InvalidInput("The Host header names another site: SENSORIUM_ALLOWED_HOSTS lists our names.", "Host")

    def _check_origin(self, scope: Scope, headers: Mapping[str, str]) -> None:
        sent = headers.get("origin", "")
        asked = origin_of(f"{scope.get('scheme', 'http')}://{headers.get('host', '')}")
        if sent and (origin_of(sent) is None or origin_of(sent) not in (asked, self._public)):
            raise CrossSite("Pages of another site may not call this server.")

    def _check_fetch(self, scope: Scope, headers: Mapping[str, str]) -> None:
        if headers.get("sec-fetch-site", "") not in ("cross-site", "same-site"):
            return
        is_navigation = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        is_top_level = headers.get("sec-fetch-dest", "document") == "document"
        is_page = family_of(scope["path"]) in (PAGE, CONSOLE, SIGNED) or scope["path"] == "/docs"
        if not (is_navigation and is_top_level and is_page):
            raise CrossSite("Pages of another site may not call this server.")


def origin_of(url: str) -> Origin | None:
    """A URL's origin; None if it has none."""
    try:
        parts = urlsplit(url)
        if not parts.hostname:
            return None
        return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
