"""Speech to text and text to speech."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Literal

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from deployments.capabilities.protocol import SpeechCall
from deployments.client.caller import Call
from deployments.http import families
from deployments.http.families import CALL_ERRORS, UPLOAD_ERRORS, Responses
from deployments.http.schemas.speech import Transcript
from deployments.http.services import PrincipalDep, Services, ServicesDep, needs
from deployments.http.uploads import audio_body
from pipelines.speech_recognition import Segment

SUCCESS = 20000000
MAX_CHARACTERS = 20_000
BINARY_BODY = {
    "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
MP3 = {"content": {"audio/mpeg": {}}, "description": "The speech, as MP3."}
SPOKEN: Responses = {200: MP3, **families.SYNTHESIS.errors(*CALL_ERRORS)}

recognition_router = families.RECOGNITION.router("Speech", dependencies=[needs("speech_recognition")])
synthesis_router = families.SYNTHESIS.router("Speech", dependencies=[needs("speech_synthesis")])


@recognition_router.post("", openapi_extra=BINARY_BODY, responses=families.RECOGNITION.errors(*UPLOAD_ERRORS))
async def recognize(
    services: ServicesDep,
    principal: PrincipalDep,
    request: Request,
    response: Response,
    *,
    format: Annotated[Literal["pcm"] | None, Query(description="`pcm`: headerless 16-bit mono")] = None,
    sample_rate: Annotated[int, Query(ge=8000, le=192_000)] = 16_000,
    language: Annotated[str | None, Query(min_length=2, max_length=16)] = None,
) -> Transcript:
    """Recognize the speech in an audio or video file, sent as the body."""
    transcribe = services.caller.handles.speech_recognition.transcribe
    async with audio_body(services, request, headerless=format == "pcm") as source:
        with await services.caller.call(transcribe, source, sample_rate, language) as call:
            recognized = await call.result()
            services.usage.add(principal.name, audio_s=recognized.duration_s)
            response.headers.update(call.headers())
    return Transcript(result=plain_text(recognized.segments), status=SUCCESS)


@synthesis_router.get("", response_class=StreamingResponse, responses=SPOKEN)
async def synthesize(
    services: ServicesDep,
    text: Annotated[str, Query(min_length=1, max_length=MAX_CHARACTERS)],
    voice: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    speed: Annotated[float, Query(ge=0.25, le=4, allow_inf_nan=False)] = 1.0,
    language: Annotated[str | None, Query(min_length=2, max_length=16)] = None,
) -> StreamingResponse:
    """Speak a text."""
    return await stream_speech(services, SpeechCall(text, voice, language, speed), "audio/mpeg")


def plain_text(segments: Sequence[Segment]) -> str:
    """What was said, in one line."""
    return " ".join(segment.text.strip() for segment in segments)


async def stream_speech(services: Services, request: SpeechCall, media_type: str) -> StreamingResponse:
    """Speak a text; errors before the first of the audio are raised, not streamed."""
    call = await services.caller.call(services.caller.handles.speech_synthesis.speak, request)
    first = await anext(call, b"")
    return StreamingResponse(_audio(call, first), media_type=media_type, headers=call.headers())


async def _audio(call: Call, first: bytes) -> AsyncIterator[bytes]:
    with call:
        yield first
        async for piece in call:
            yield piece
