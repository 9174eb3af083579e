"""What every request passes before its route: API key, limits, host and origin, size of a JSON body.

A page of another site that is open in a person's browser can reach a server on loopback. Unless API keys protect the
server, requests of such a page are refused: those that carry its `Origin`, and those whose `Host` is its own name made
to point here.
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.http.errors import Unauthorized, describe
from deployments.http.families import Family, family_of
from deployments.http.network import is_loopback
from deployments.http.services import Services
from deployments.principals.limits import RateLimited
from deployments.principals.principal import Principal
from pipelines.contracts.errors import InputTooLarge, InvalidInput, SensoriumError


class Counted:
    """One request's `receive` and `send`, which count the bytes of its bodies and add headers to its answer."""

    def __init__(self, receive: Receive, send: Send, headers: Callable[[], Mapping[str, str]]) -> None:
        self._receive = receive
        self._send = send
        self._headers = headers
        self.bytes = 0

    async def receive(self) -> Message:
        """The next of the request."""
        message = await self._receive()
        self.bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """The next of the answer."""
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(self._headers())
        self.bytes += len(message.get("body", b""))
        await self._send(message)


class Guards:
    """ASGI middleware: host and origin, key, limits, size of bodies. Routes find who calls in the request."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._settings = services.settings
        self._registry = services.registry
        self._limiter = services.limiter
        self._usage = services.usage
        self._own_host = urlsplit(services.settings.public_url).hostname or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request and pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        family, headers = family_of(scope["path"]), Headers(scope=scope)
        try:
            principal = await self._identify(family, headers)
        except SensoriumError as error:
            await family.response(describe(error))(scope, receive, send)
            return
        if principal is None:
            await self._pass(family, scope, receive, send)
        else:
            scope = {**scope, "state": {**scope.get("state", {}), "principal": principal}}
            await self._admit(principal, family, scope, receive, send)

    async def _admit(self, principal: Principal, family: Family, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on within its principal's limits, and count it."""
        counted = Counted(receive, send, lambda: self._limiter.headers(principal))
        try:
            with self._limiter.admit(principal):
                await self._pass(family, scope, counted.receive, counted.send)
        except RateLimited as error:
            await family.response(describe(error))(scope, receive, counted.send)
        else:
            self._usage.add(principal.name, calls=1)
        finally:
            self._usage.add(principal.name, bytes=counted.bytes)

    async def _pass(self, family: Family, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its body read ahead unless its route does that."""
        if not family.streamed:
            try:
                receive = await self._whole_body(Headers(scope=scope), receive)
            except SensoriumError as error:
                await family.response(describe(error))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _identify(self, family: Family, headers: Mapping[str, str]) -> Principal | None:
        """Who calls; None on a public route, which does not ask the database either."""
        if not family.public:
            await self._registry.refresh()
        if not self._registry.is_protected:
            self._check_site(headers)
            return self._registry.installation
        return None if family.public else self._by_key(headers)

    def _by_key(self, headers: Mapping[str, str]) -> Principal:
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        principal = self._registry.by_key(sent.strip()) if scheme.lower() == "bearer" else None
        if principal is None:
            raise Unauthorized("Send a valid API key: `Authorization: Bearer …`.")
        return principal

    def _check_site(self, headers: Mapping[str, str]) -> None:
        for name, address in (("Host", f"//{headers.get('host', '')}"), ("Origin", headers.get("origin", ""))):
            if not self._is_own(address):
                raise InvalidInput(f"The {name} header names another site.", name)

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
