"""Taking uploads: streamed into the object store under a cap, known by their bytes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from deployments.capabilities.protocol import Source
from deployments.http.multipart import Received, receive_file
from deployments.http.services import Services
from deployments.storage import upload_name
from pipelines.contracts.errors import InputTooLarge, UnsupportedMedia
from pipelines.media.kinds import Family, sniff


def declared_bytes(request: Request) -> int | None:
    """The body's length where the client says it."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isdigit() else None


FORM_OVERHEAD_BYTES = 100_000
"""What boundaries, headers and small fields may add to a file's own bytes."""


@dataclass
class Upload:
    """What was uploaded.

    Attributes:
        source: the file, as capabilities take it.
        received: what came with it.
        kept: it outlives the call.
    """

    source: Source
    received: Received
    kept: bool = False


@asynccontextmanager
async def uploaded_file(
    services: Services, request: Request, *, field: str, family: Family, max_bytes: int, wanted: str
) -> AsyncIterator[Upload]:
    """The file of a multipart form as an object, for as long as the call lasts or, where it is `kept`, longer.

    Args:
        field: the form's field that holds the file.
        family: what the file must hold.
        max_bytes: cap of the file.
        wanted: the formats that are served, for the message to who sends another.

    Raises:
        InvalidInput, InputTooLarge, UnsupportedMedia, UnusableMedia: what is wrong with the upload; nothing is left.
    """
    if (declared_bytes(request) or 0) > max_bytes + FORM_OVERHEAD_BYTES:
        raise InputTooLarge(f"The file is larger than the {max_bytes:,} bytes that are taken here.")
    key = upload_name()
    upload = None
    try:
        received = await receive_file(
            request.stream(),
            request.headers.get("content-type", ""),
            field=field,
            store=services.store,
            key=key,
            max_bytes=max_bytes,
        )
        upload = Upload(source_of(key, received, family, wanted), received)
        yield upload
    finally:
        if upload is None or not upload.kept:
            await services.store.delete(key)


def source_of(key: str, received: Received, family: Family, wanted: str) -> Source:
    """The upload as a capability takes it; refuses what is not of the family."""
    kind = sniff(received.head)
    if kind is None or family not in kind.families:
        raise UnsupportedMedia(f"This file is not one that is served here; send {wanted}.")
    return Source(key, received.name, kind.name, kind.container)


def form_schema(field: str, required: bool = True) -> dict[str, Any]:
    """OpenAPI request body: a multipart form with one file."""
    schema = {
        "type": "object",
        "properties": {field: {"type": "string", "format": "binary"}},
        "required": [field] if required else [],
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
