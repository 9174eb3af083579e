"""Uploads: streamed into the object store under a cap, their formats detected from their bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from deployments.capabilities.protocol import Source
from deployments.http.multipart import MAX_OVERHEAD_BYTES, MAX_SECOND_FILE_BYTES, Received, receive_file
from deployments.http.schemas.media import VideoForm
from deployments.http.schemas.openai import ImageEditForm, TranscriptionForm
from deployments.http.services import Services
from deployments.settings import Settings
from deployments.storage import ObjectStore, upload_name
from pipelines.contracts.errors import EmptyAudio, InputTooLarge, UnsupportedMedia
from pipelines.knowledge.parsing.documents import FORMATS
from pipelines.media import kinds

FormT = TypeVar("FormT", bound=BaseModel)


@dataclass(frozen=True)
class FileSpec:
    """What a route accepts as its file.

    Attributes:
        family: what the file must hold.
        formats: that are supported, for whoever sends another.
        max_bytes: cap of the file.
        field: of the form that holds the file.
        second_field: of the form that may hold a small second file of the same family.
        options: the form's other fields.
    """

    family: kinds.Family
    formats: str
    max_bytes: Callable[[Settings], int]
    field: str = "file"
    second_field: str = ""
    options: type[BaseModel] | None = None

    def check_declared(self, request: Request, settings: Settings, overhead_bytes: int = 0) -> None:
        """Refuse a body that declares to be too large, before any of it is read.

        Raises:
            InputTooLarge: it is longer than the cap and `overhead_bytes`.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.max_bytes(settings) + overhead_bytes:
            raise InputTooLarge(f"The {self.family} exceeds the {self.max_bytes(settings):,}-byte limit.")

    def source(self, key: str, head: bytes, name: str = "", *, behind: bytes = b"") -> Source:
        """A file in the store, as capabilities take it; `behind` as in `kinds.sniff`.

        Raises:
            UnsupportedMedia: its first bytes are those of another format.
        """
        kind = kinds.sniff(head, behind)
        if kind is None or self.family not in kind.families:
            raise UnsupportedMedia(f"Unsupported file type. Supported: {self.formats}.")
        return Source(key, name, kind.name, kind.container)

    def form_schema(self) -> dict[str, Any]:
        """OpenAPI's request body: a multipart form with the file."""
        files = [self.field, self.second_field] if self.second_field else [self.field]
        others = self.options.model_json_schema() if self.options else {"properties": {}}
        schema = {
            "type": "object",
            "properties": {name: {"type": "string", "format": "binary"} for name in files} | others["properties"],
            "required": [self.field, *others.get("required", [])],
        }
        return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


_IMAGE_FORMATS = "png, jpeg, webp, gif, bmp, tiff, avif, heic"

IMAGE = FileSpec("image", _IMAGE_FORMATS, lambda settings: settings.max_image_bytes)
ANIMATED = replace(IMAGE, options=VideoForm)
EDITED = FileSpec(
    "image",
    _IMAGE_FORMATS,
    lambda settings: settings.max_image_bytes,
    field="image",
    second_field="mask",
    options=ImageEditForm,
)
AUDIO = FileSpec(
    "audio", "wav, mp3, flac, ogg, m4a, webm and other audio or video", lambda settings: settings.max_audio_bytes
)
TRANSCRIBED = replace(AUDIO, options=TranscriptionForm)
VIDEO = FileSpec("video", "mp4, mov, webm, mkv, avi, mpeg, flv, ogg, wmv", lambda settings: settings.max_video_bytes)
DOCUMENT = FileSpec("document", FORMATS, lambda settings: settings.max_document_bytes, field="fileToUpload")


@dataclass
class Upload:
    """An uploaded file.

    Attributes:
        source: the file, as capabilities take it.
        received: what came with it.
        second: the second file, if the form has one.
        kept: it outlives the call.
    """

    source: Source
    received: Received
    second: Source | None = None
    kept: bool = False

    @property
    def keys(self) -> list[str]:
        """Of its objects in the store."""
        return [source.key for source in (self.source, self.second) if source is not None]

    def options(self, form: type[FormT]) -> FormT:
        """The form's other fields; an empty one is as if it were not there.

        Raises:
            RequestValidationError: what is wrong with them.
        """
        try:
            return form.model_validate({name: value for name, value in self.received.fields.items() if value})
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error


@asynccontextmanager
async def form_file(services: Services, request: Request, spec: FileSpec) -> AsyncIterator[Upload]:
    """The file of a multipart form as an object, for as long as the call lasts or, if it is `kept`, longer.

    Raises:
        InvalidInput, InputTooLarge, UnsupportedMedia, UnusableMedia: what is wrong with the upload; nothing is left.
    """
    besides = MAX_OVERHEAD_BYTES + (MAX_SECOND_FILE_BYTES if spec.second_field else 0)
    spec.check_declared(request, services.settings, besides)
    key, second_key = upload_name(), upload_name()
    upload = None
    try:
        received = await receive_file(
            request.stream(),
            request.headers.get("content-type", ""),
            field=spec.field,
            second_field=spec.second_field,
            store=services.store,
            key=key,
            max_bytes=spec.max_bytes(services.settings),
        )
        behind = await _behind_tags(services.store, key, received.head)
        upload = Upload(spec.source(key, received.head, received.name, behind=behind), received)
        if received.second:
            upload.second = spec.source(second_key, received.second[: kinds.HEAD_BYTES])
            await services.store.put_bytes(second_key, received.second, "application/octet-stream")
        yield upload
    finally:
        if upload is None or not upload.kept:
            for each in upload.keys if upload else [key]:
                await services.store.delete(each)


@asynccontextmanager
async def audio_body(services: Services, request: Request, *, headerless: bool) -> AsyncIterator[Source]:
    """A body that is one audio file, as an object for as long as the call lasts.

    Args:
        headerless: it is plain PCM, which nothing in it says.

    Raises:
        InputTooLarge, UnsupportedMedia, EmptyAudio: what is wrong with the upload; nothing is left.
    """
    AUDIO.check_declared(request, services.settings)
    key = upload_name()
    head = bytearray()

    async def body() -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            head.extend(chunk[: kinds.HEAD_BYTES - len(head)])
            yield chunk

    try:
        max_bytes = AUDIO.max_bytes(services.settings)
        size = await services.store.put_stream(
            key, body(), max_bytes=max_bytes, content_type="application/octet-stream"
        )
        if size == 0:
            raise EmptyAudio("The body is empty: send the audio file as the body.")
        behind = await _behind_tags(services.store, key, bytes(head))
        yield Source(key, kind="pcm") if headerless else AUDIO.source(key, bytes(head), behind=behind)
    finally:
        await services.store.delete(key)


async def _behind_tags(store: ObjectStore, key: str, head: bytes) -> bytes:
    """The first bytes behind the tags that an upload begins with; none if it begins with no tag."""
    if not kinds.tag_bytes(head):
        return b""

    def read() -> bytes:
        with store.open_reader(key) as file:
            file.seek(kinds.behind_tags(file))
            return file.read(kinds.HEAD_BYTES)

    return await asyncio.to_thread(read)
