"""HTTP/1.1 of Serve's proxy: uvicorn's own, with our errors for requests that it cannot parse.

No application ever sees such a request. What people meet is too long an address: httptools (MIT) parses 65,535 bytes,
which a text of some 7,000 Chinese characters fills. Serve names no protocol, so uvicorn takes its `auto` one.
"""

import uuid

from fastapi.responses import JSONResponse
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deployments.http.errors import Failure
from deployments.http.families import SYNTHESIS, family_of
from deployments.http.schemas.errors import OpenAIError, SynthesisError

MAX_ADDRESS_BYTES = 65_535
NOT_HTTP = Failure(400, "invalid_request", "The request is not valid HTTP.")
TOO_LONG = Failure(400, "address_too_long", f"The address exceeds {MAX_ADDRESS_BYTES:,} bytes.")
TEXT_TOO_LONG = Failure(
    400, "address_too_long", f"{TOO_LONG.message} Send the text in the body of POST /v1/audio/speech."
)


def install() -> None:
    """Have servers that start in this process from now on speak `Protocol`."""
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{Protocol.__name__}"


class Protocol(HttpToolsProtocol):
    """One connection."""

    url = b""

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be parsed, and close the connection."""
        response = _refusal(self.url)
        lines = [b"HTTP/1.1 400 Bad Request", *(b": ".join(header) for header in response.raw_headers), b"", b""]
        self.transport.write(b"\r\n".join(lines) + bytes(response.body))
        self.transport.close()


def _refusal(address: bytes) -> JSONResponse:
    """In the shape of the address's family; in the two shapes that clients may know if there is no address."""
    family = family_of(address.partition(b"?")[0].decode("latin-1"))
    if len(address) > MAX_ADDRESS_BYTES:
        response = family.response(TEXT_TOO_LONG if family is SYNTHESIS else TOO_LONG)
    elif address:
        response = family.response(NOT_HTTP)
    else:
        both = SynthesisError.of(NOT_HTTP).model_dump() | OpenAIError.of(NOT_HTTP).model_dump()
        response = JSONResponse(both, NOT_HTTP.status)
    response.headers.update({"x-request-id": str(uuid.uuid4()), "connection": "close"})
    return response
