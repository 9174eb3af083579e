"""HTTP/1.1 of Serve's servers: uvicorn's own, with caps on a head, and our errors for requests that it cannot parse.

No application ever sees such a request. What people meet is too long an address: httptools (MIT) parses 65,535 bytes,
which a text of some 7,000 Chinese characters fills. It has no cap on headers, keeps an unfinished one whole and copies
it with every piece that comes. Serve names no protocol, so uvicorn takes its `auto` one.
"""

import uuid
from http import HTTPStatus

from fastapi.responses import JSONResponse
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deployments.http.errors import Failure
from deployments.http.families import SYNTHESIS, family_of
from deployments.http.schemas.errors import OpenAIError, SynthesisError

MAX_ADDRESS_BYTES = 65_535
MAX_HEADER_BYTES = 65_536
LINGER_S = 0.5
"""How long a refused connection stays open: closed while its client still sends, it would take the answer along."""

NOT_HTTP = Failure(400, "invalid_request", "The request is not valid HTTP.")
TOO_LONG = Failure(400, "address_too_long", f"The address exceeds {MAX_ADDRESS_BYTES:,} bytes.")
HEADERS_TOO_LARGE = Failure(
    431, "headers_too_large", f"The headers exceed {MAX_HEADER_BYTES:,} bytes. Send large inputs in the body."
)
TEXT_TOO_LONG = Failure(
    400, "address_too_long", f"{TOO_LONG.message} Send the text in the body of POST /v1/audio/speech."
)


def install() -> None:
    """Have servers that start in this process from now on speak `Protocol`."""
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{Protocol.__name__}"


class HeadTooLarge(ValueError):
    """An address or headers over their caps; httptools passes it on as an error of its own."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    url = b""
    header_bytes = 0
    """Of all finished headers and trailers of this request."""
    unfinished = 0
    """Bytes since the parser last finished anything: of one long header, trailer or chunk extension."""
    refused = False

    def data_received(self, data: bytes) -> None:
        """Parse what has come; after a refusal, drop it."""
        if self.refused:
            return
        self.unfinished += len(data)
        super().data_received(data)
        if self.unfinished > MAX_HEADER_BYTES and not self.refused:
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """A request begins."""
        self.header_bytes = self.unfinished = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self.unfinished = 0
        super().on_url(url)
        if len(self.url) > MAX_ADDRESS_BYTES:
            raise HeadTooLarge

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or trailer is complete."""
        self.unfinished = 0
        self.header_bytes += len(name) + len(value)
        if self.header_bytes > MAX_HEADER_BYTES:
            raise HeadTooLarge
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self.unfinished = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be parsed, and close the connection."""
        self.refused = True
        response = self._refusal()
        reason = HTTPStatus(response.status_code).phrase
        status = f"HTTP/1.1 {response.status_code} {reason}".encode()
        lines = [status, *(b": ".join(header) for header in response.raw_headers), b"", b""]
        self.transport.write(b"\r\n".join(lines) + bytes(response.body))
        self.loop.call_later(LINGER_S, self.transport.close)

    def _refusal(self) -> JSONResponse:
        """In the shape of the address's family; in the two shapes that clients may know if there is no address."""
        family = family_of(self.url.partition(b"?")[0].decode("latin-1"))
        if len(self.url) > MAX_ADDRESS_BYTES:
            response = family.response(TEXT_TOO_LONG if family is SYNTHESIS else TOO_LONG)
        elif max(self.header_bytes, self.unfinished) > MAX_HEADER_BYTES:
            response = family.response(HEADERS_TOO_LARGE)
        elif self.url:
            response = family.response(NOT_HTTP)
        else:
            both = SynthesisError.of(NOT_HTTP).model_dump() | OpenAIError.of(NOT_HTTP).model_dump()
            response = JSONResponse(both, NOT_HTTP.status)
        response.headers.update({"x-request-id": str(uuid.uuid4()), "connection": "close"})
        return response
