"""Speech as OpenAI's clients ask for it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from deployments.capabilities.protocol import Recognized, SpeechCall
from deployments.http import families
from deployments.http.families import CALL_ERRORS, UPLOAD_ERRORS
from deployments.http.routes.speech import plain_text, stream_speech
from deployments.http.schemas.openai import SpeechBody, TranscriptionForm
from deployments.http.services import PrincipalDep, ServicesDep, needs
from deployments.http.uploads import TRANSCRIBED, form_file
from pipelines.contracts.errors import UnsupportedByEngine
from pipelines.speech_recognition import Segment

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
"""OpenAI's own voices: its clients must name one, and the engines here have others, so these mean the default."""


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


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


def as_verbose(recognized: Recognized) -> dict[str, Any]:
    """OpenAI's `verbose_json`, with words if the engine gives them."""
    segments = recognized.segments
    verbose: dict[str, Any] = {
        "task": "transcribe",
        "language": recognized.language,
        "duration": recognized.duration_s,
        "text": plain_text(segments),
        "segments": [
            {"id": number, "start": it.start_s, "end": it.end_s, "text": it.text} for number, it in enumerate(segments)
        ],
    }
    words = [asdict(word) for it in segments for word in it.words]
    if words:
        verbose["words"] = [{"word": word["text"], "start": word["start_s"], "end": word["end_s"]} for word in words]
    return verbose


FORMATS: dict[str, Callable[[Recognized], Response]] = {
    "json": lambda recognized: JSONResponse({"text": plain_text(recognized.segments)}),
    "text": lambda recognized: PlainTextResponse(plain_text(recognized.segments) + "\n"),
    "srt": lambda recognized: PlainTextResponse(as_srt(recognized.segments)),
    "vtt": lambda recognized: PlainTextResponse(as_vtt(recognized.segments), media_type="text/vtt"),
    "verbose_json": lambda recognized: JSONResponse(as_verbose(recognized)),
}
TEXT = {"content": {"application/json": {}, "text/plain": {}, "text/vtt": {}}, "description": "The text."}
SPEECH = {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}, "description": "The speech."}

transcriptions_router = families.TRANSCRIPTIONS.router("Speech", dependencies=[needs("speech_recognition")])
speech_router = families.OPENAI.router("Speech", dependencies=[needs("speech_synthesis")])


@transcriptions_router.post(
    "",
    openapi_extra=TRANSCRIBED.form_schema(),
    response_class=Response,
    responses={200: TEXT, **families.TRANSCRIPTIONS.errors(*UPLOAD_ERRORS)},
)
async def transcriptions(services: ServicesDep, principal: PrincipalDep, request: Request) -> Response:
    """Recognize the speech in an audio or video file; `response_format` is json, text, srt, vtt or verbose_json."""
    transcribe = services.caller.handles.speech_recognition.transcribe
    async with form_file(services, request, TRANSCRIBED) as upload:
        form = upload.options(TranscriptionForm)
        if "logprobs" in upload.received.fields.get("include[]", ""):
            raise UnsupportedByEngine("`include` is not supported: no engine here gives log probabilities.", "include")
        with await services.caller.call(transcribe, upload.source, 0, form.language) as call:
            recognized: Recognized = await call.result()
            services.usage.add(principal.name, audio_s=recognized.duration_s)
            response = FORMATS[form.response_format](recognized)
            response.headers.update(call.headers())
            return response


@speech_router.post(
    "/audio/speech",
    response_class=StreamingResponse,
    responses={200: SPEECH, **families.OPENAI.errors(*CALL_ERRORS)},
)
async def speech(services: ServicesDep, body: SpeechBody) -> StreamingResponse:
    """Speak a text, in the requested format."""
    voice = None if body.voice in OPENAI_VOICES else body.voice
    request = SpeechCall(body.input, voice, None, body.speed, body.response_format)
    return await stream_speech(services, request, MEDIA_TYPES[body.response_format])
