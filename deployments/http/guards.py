"""What every request passes before its route: API key, host and origin, size of a JSON body.

A page of another site that is open in a person's browser can reach a server on loopback. Unless API keys protect the
server, requests of such a page are refused: those that carry its `Origin`, and those whose `Host` is its own name made
to point here.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.http.errors import Unauthorized, describe
from deployments.http.families import Family, family_of
from deployments.http.network import is_loopback
from deployments.settings import Settings
from pipelines.contracts.errors import InputTooLarge, InvalidInput, SensoriumError


class Guards:
    """ASGI middleware: host and origin, key, size of JSON bodies."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._keys = [key.get_secret_value().encode() for key in settings.api_keys]
        self._own_host = urlsplit(settings.public_url).hostname or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request and pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        family, headers = family_of(scope["path"]), Headers(scope=scope)
        try:
            self._check(family, headers)
            if not family.streamed:
                receive = await self._whole_body(headers, receive)
        except SensoriumError as error:
            await family.response(describe(error))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, family: Family, headers: Mapping[str, str]) -> None:
        if self._keys:
            if not family.public:
                self._check_key(headers)
            return
        for name, address in (("Host", f"//{headers.get('host', '')}"), ("Origin", headers.get("origin", ""))):
            if not self._is_own(address):
                raise InvalidInput(f"The {name} header names another site.", name)

    def _check_key(self, headers: Mapping[str, str]) -> None:
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        key = sent.strip().encode()
        known = [hmac.compare_digest(key, known) for known in self._keys]
        if scheme.lower() != "bearer" or not any(known):
            raise Unauthorized("Send a valid API key: `Authorization: Bearer …`.")

    def _is_own(self, address: str) -> bool:
        try:
            host = urlsplit(address).hostname
        except ValueError:
            return False
        if host is None:
            return address in ("", "//")
        return host == self._own_host or is_loopback(host)

    async def _whole_body(self, headers: Mapping[str, str], receive: Receive) -> Receive:
        """Read a small body ahead, so that a large one is refused before it is parsed."""
        limit = self._settings.max_json_bytes
        too_large = InputTooLarge(f"The body exceeds the {limit:,}-byte limit.")
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise too_large
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                raise too_large
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        return replay
