"""Speech to text and text to speech."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from deployments.capabilities.protocol import Source, SpeechCall
from deployments.client.caller import Call
from deployments.http.schemas.all import RecognitionError, SynthesisError, Transcript, call_errors, upload_errors
from deployments.http.services import Services
from deployments.http.uploads import declared_bytes
from deployments.storage import upload_name
from pipelines.contracts.errors import EmptyAudio, InputTooLarge, UnsupportedMedia
from pipelines.media.kinds import HEAD_BYTES, sniff

SUCCESS = 20000000
MOST_CHARACTERS = 20_000
BINARY_BODY = {
    "requestBody": {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def router(services: Services) -> APIRouter:
    """`/v1/asr`, `/v1/tts`."""
    routes = APIRouter(tags=["Speech"])
    settings, handles = services.settings, services.caller.handles

    @routes.post("/v1/asr", openapi_extra=BINARY_BODY, responses=upload_errors(RecognitionError))
    async def recognize(
        request: Request,
        response: Response,
        format: Annotated[Literal["pcm"] | None, Query(description="`pcm`: headerless 16-bit mono")] = None,
        sample_rate: Annotated[int, Query(ge=8000, le=192_000)] = 16_000,
        language: Annotated[str | None, Query(min_length=2, max_length=16)] = None,
    ) -> Transcript:
        """Recognise the speech in any sound or video file, sent as the body."""
        key = upload_name()
        try:
            source = await _received(services, request, key, headerless=format == "pcm")
            call = await services.caller.call(handles.speech_recognition.transcribe, source, sample_rate, language)
            with call:
                segments = await call.result()
                response.headers.update(call.headers())
        finally:
            await services.store.delete(key)
        return Transcript(result=" ".join(segment.text.strip() for segment in segments), status=SUCCESS)

    @routes.get(
        "/v1/tts",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"audio/mpeg": {}}, "description": "The speech, as MP3."},
            **call_errors(SynthesisError),
        },
    )
    async def synthesize(
        text: Annotated[str, Query(min_length=1, max_length=MOST_CHARACTERS)],
        voice: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
        speed: Annotated[float, Query(ge=0.25, le=4, allow_inf_nan=False)] = 1.0,
        language: Annotated[str | None, Query(min_length=2, max_length=16)] = None,
    ) -> StreamingResponse:
        """Speak a text."""
        call = await services.caller.call(handles.speech_synthesis.speak, SpeechCall(text, voice, language, speed))
        first = await anext(call, b"")
        return StreamingResponse(encoded(call, first), media_type="audio/mpeg", headers=call.headers())

    async def _received(services: Services, request: Request, key: str, *, headerless: bool) -> Source:
        too_large = f"The sound is larger than the {settings.max_audio_bytes:,} bytes that are taken here."
        if (declared_bytes(request) or 0) > settings.max_audio_bytes:
            raise InputTooLarge(too_large)
        head = bytearray()

        async def body() -> AsyncIterator[bytes]:
            async for chunk in request.stream():
                head.extend(chunk[: HEAD_BYTES - len(head)])
                yield chunk

        size = await services.store.put_stream(
            key, body(), max_bytes=settings.max_audio_bytes, content_type="application/octet-stream"
        )
        if size == 0:
            raise EmptyAudio("The body is empty: send the sound file as the body.")
        if headerless:
            return Source(key, kind="pcm")
        kind = sniff(bytes(head))
        if kind is None or "audio" not in kind.families:
            raise UnsupportedMedia("The body is no sound file: send wav, mp3, flac, ogg, m4a, webm or the like.")
        return Source(key, kind=kind.name, container=kind.container)

    return routes


async def encoded(call: Call, first: bytes) -> AsyncIterator[bytes]:
    """The speech of a call whose first piece has come already."""
    with call:
        yield first
        async for piece in call:
            yield piece
