"""What every request passes before its route: the API key, if there are any, and its principal's limits."""

from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.http.errors import CrossSite, Unauthorized, describe
from deployments.http.families import Family, family_of
from deployments.http.network import COOKIE
from deployments.http.services import Services
from deployments.principals.limits import RateLimited
from deployments.principals.principal import Principal
from pipelines.contracts.errors import SensoriumError

SIGNED_IN_ELSEWHERE_S = 0.2
"""How old the tables may be that know no session: another replica may have begun it just now."""


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
    """ASGI middleware: key and limits. Routes find who calls in the request."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._registry = services.registry
        self._limiter = services.limiter
        self._usage = services.usage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request and pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        family, headers = family_of(scope["path"]), Headers(scope=scope)
        try:
            principal = await self._identify(family, scope["method"], headers)
        except SensoriumError as error:
            await family.response(describe(error))(scope, receive, send)
            return
        if principal is None:
            await self._app(scope, receive, send)
        else:
            scope = {**scope, "state": {**scope.get("state", {}), "principal": principal}}
            await self._admit(principal, family, scope, receive, send)

    async def _admit(self, principal: Principal, family: Family, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on within its principal's limits, and count it."""
        counted = Counted(receive, send, lambda: self._limiter.headers(principal))
        try:
            with self._limiter.admit(principal):
                await self._app(scope, counted.receive, counted.send)
        except RateLimited as error:
            await family.response(describe(error))(scope, receive, counted.send)
        else:
            self._usage.add(principal.name, calls=1)
        finally:
            self._usage.add(principal.name, bytes=counted.bytes)

    async def _identify(self, family: Family, method: str, headers: Mapping[str, str]) -> Principal | None:
        """Who calls; None on a public route, which does not ask the database either."""
        is_public = family.public or method in family.public_methods
        if not is_public:
            await self._registry.refresh()
        if not self._registry.is_protected:
            return self._registry.installation
        if is_public:
            return None
        principal = await self._by_credentials(method, headers)
        if principal is None:
            raise Unauthorized("Send a valid API key: `Authorization: Bearer …`.")
        return principal

    async def _by_credentials(self, method: str, headers: Mapping[str, str]) -> Principal | None:
        if sent := headers.get("authorization"):
            scheme, _, key = sent.partition(" ")
            if scheme.lower() != "bearer":
                return None
            return self._registry.by_key(key.strip()) or await self._registry.by_token(key.strip())
        token = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if token is None:
            return None
        self._check_same_origin(method, headers.get("sec-fetch-site"))
        if self._registry.by_session(token) is None:
            await self._registry.refresh(SIGNED_IN_ELSEWHERE_S)
        return self._registry.by_session(token)

    def _check_same_origin(self, method: str, site: str | None) -> None:
        """See that the browser sends the cookie for its own page; a call that only reads may come from an older one."""
        only_reads = method in ("GET", "HEAD", "OPTIONS")
        if site != "same-origin" and not (only_reads and site in (None, "none")):
            raise CrossSite("A session is for the server's own pages only.")
