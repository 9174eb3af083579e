"""Speech as OpenAI's clients ask for it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from deployments.capabilities.protocol import SpeechCall
from deployments.http.routes.speech import encoded
from deployments.http.schemas.all import OpenAIError, SpeechBody, call_errors, upload_errors
from deployments.http.services import Services
from deployments.http.uploads import form_schema, uploaded_file
from pipelines.contracts.errors import InvalidInput
from pipelines.speech_recognition.base import Segment

MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
OPENAI_VOICES = frozenset(
    ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse", "marin", "cedar")
)
"""Voices of OpenAI's own: its clients must name one, and the engines here have others, so these mean the default."""


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


def _text(segments: Sequence[Segment]) -> str:
    return " ".join(segment.text.strip() for segment in segments)


def as_srt(segments: Sequence[Segment]) -> str:
    """SubRip subtitles."""
    cues = [
        f"{number}\n{_clock(it.start_s, ',')} --> {_clock(it.end_s, ',')}\n{it.text.strip()}\n"
        for number, it in enumerate(segments, start=1)
    ]
    return "\n".join(cues)


def as_vtt(segments: Sequence[Segment]) -> str:
    """WebVTT subtitles."""
    cues = [f"{_clock(it.start_s, '.')} --> {_clock(it.end_s, '.')}\n{it.text.strip()}\n" for it in segments]
    return "\n".join(["WEBVTT\n", *cues])


def as_verbose(segments: Sequence[Segment]) -> dict[str, Any]:
    """OpenAI's `verbose_json`, with words where the engine gives them."""
    verbose: dict[str, Any] = {
        "task": "transcribe",
        "language": segments[0].language if segments else "",
        "duration": segments[-1].end_s if segments else 0.0,
        "text": _text(segments),
        "segments": [
            {"id": number, "start": it.start_s, "end": it.end_s, "text": it.text} for number, it in enumerate(segments)
        ],
    }
    words = [asdict(word) for it in segments for word in it.words]
    if words:
        verbose["words"] = [{"word": word["text"], "start": word["start_s"], "end": word["end_s"]} for word in words]
    return verbose


FORMATS: dict[str, Callable[[Sequence[Segment]], Response]] = {
    "json": lambda segments: JSONResponse({"text": _text(segments)}),
    "text": lambda segments: PlainTextResponse(_text(segments) + "\n"),
    "srt": lambda segments: PlainTextResponse(as_srt(segments)),
    "vtt": lambda segments: PlainTextResponse(as_vtt(segments), media_type="text/vtt"),
    "verbose_json": lambda segments: JSONResponse(as_verbose(segments)),
}


def router(services: Services) -> APIRouter:
    """`/v1/audio/transcriptions`, `/v1/audio/speech`."""
    routes = APIRouter(tags=["Speech"])
    settings, handles = services.settings, services.caller.handles

    @routes.post(
        "/v1/audio/transcriptions",
        openapi_extra=form_schema("file"),
        response_class=Response,
        responses={
            200: {"content": {"application/json": {}, "text/plain": {}, "text/vtt": {}}, "description": "The text."},
            **upload_errors(OpenAIError),
        },
    )
    async def transcriptions(request: Request) -> Response:
        """Recognise the speech in a sound or video file; `response_format` is json, text, srt, vtt or verbose_json."""
        upload = uploaded_file(
            services,
            request,
            field="file",
            family="audio",
            max_bytes=settings.max_audio_bytes,
            wanted="wav, mp3, flac, ogg, m4a, webm or the like",
        )
        async with upload as file:
            fields = file.received.fields
            wanted = fields.get("response_format", "json")
            if wanted not in FORMATS:
                raise InvalidInput(f"`response_format` must be one of {', '.join(FORMATS)}.", "response_format")
            language = fields.get("language") or None
            with await services.caller.call(handles.speech_recognition.transcribe, file.source, 0, language) as call:
                response = FORMATS[wanted](await call.result())
                response.headers.update(call.headers())
                return response

    @routes.post(
        "/v1/audio/speech",
        response_class=StreamingResponse,
        responses={
            200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}, "description": "The speech."},
            **call_errors(OpenAIError),
        },
    )
    async def speech(body: SpeechBody) -> StreamingResponse:
        """Speak a text, in the format that is asked for."""
        voice = None if body.voice in OPENAI_VOICES else body.voice
        wish = SpeechCall(body.input, voice, None, body.speed, body.response_format)
        call = await services.caller.call(handles.speech_synthesis.speak, wish)
        first = await anext(call, b"")
        media_type = MEDIA_TYPES[body.response_format]
        return StreamingResponse(encoded(call, first), media_type=media_type, headers=call.headers())

    return routes
