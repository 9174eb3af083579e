"""What the routes take and give in JSON, and how their errors look in the OpenAPI schema."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class OpenAIErrorDetail(BaseModel):
    """What is wrong, in OpenAI's words."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIError(BaseModel):
    """Error body of the routes that follow OpenAI."""

    error: OpenAIErrorDetail


class RecognitionError(BaseModel):
    """Error body of `/v1/asr`."""

    result: Literal[""]
    status: int
    message: str


class SynthesisError(BaseModel):
    """Error body of `/v1/tts`."""

    status: int
    message: str


class ErrorDetail(BaseModel):
    """What is wrong."""

    code: str
    message: str


class MediaError(BaseModel):
    """Error body of `/image/*` and `/video/*`."""

    status: Literal["error"]
    error: ErrorDetail


class UploadError(BaseModel):
    """Error body of `/uploadFile/*`."""

    result: Literal[False]
    error: ErrorDetail


_MEANINGS = {
    400: "Malformed or invalid parameters or body.",
    401: "No key, or a wrong one.",
    403: "The address was changed or has expired.",
    404: "Not found.",
    413: "Too large.",
    429: "Too many jobs are waiting; `Retry-After` says when to try again.",
    415: "A kind of file that is not served here.",
    422: "The right kind of file, but it cannot be used: damaged, encrypted, empty, too many pixels.",
    500: "Something went wrong on the server.",
    503: "Over capacity, starting, or the model is not available; `Retry-After` says when to try again.",
    504: "The call took longer than its deadline.",
}

_CALL = (400, 401, 413, 500, 503, 504)
_UPLOAD = (*_CALL, 415, 422)


def errors_of(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for a family's error body."""
    return {status: {"model": model, "description": _MEANINGS[status]} for status in sorted(statuses)}


def call_errors(model: type[BaseModel], *more: int) -> dict[int | str, dict[str, Any]]:
    """What any call with a body may be answered with."""
    return errors_of(model, *_CALL, *more)


def upload_errors(model: type[BaseModel], *more: int) -> dict[int | str, dict[str, Any]]:
    """What any upload may be answered with."""
    return errors_of(model, *_UPLOAD, *more)


class Body(BaseModel):
    """Base of JSON bodies: numbers are numbers, and finite; keys that OpenAI's clients may add are let through."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False, protected_namespaces=())


class TextPart(Body):
    """A piece of a message's content, as OpenAI's clients may send it."""

    type: Literal["text"]
    text: str


class ChatMessage(Body):
    """One turn of the conversation."""

    role: Literal["user", "assistant", "system", "developer", "tool"] = "user"
    content: str | list[TextPart] | None = None


class StreamOptions(Body):
    """Options of a streamed answer."""

    include_usage: bool = False


class ChatCompletionBody(Body):
    """Body of `POST /v1/chat/completions`."""

    model: str = Field("", max_length=512)
    messages: list[ChatMessage] = Field(min_length=1, max_length=2000)
    temperature: float = Field(0.8, ge=0, le=2)
    max_tokens: int | None = Field(None, ge=1, le=1_000_000)
    max_completion_tokens: int | None = Field(None, ge=1, le=1_000_000)
    category: str | None = Field(None, max_length=256)
    stream: bool = False
    stream_options: StreamOptions | None = None
    stop: str | list[str] | None = Field(None)


class ImageBody(Body):
    """Body of `POST /v1/images/generations`."""

    prompt: str = Field(min_length=1, max_length=4000)
    n: int = Field(1, ge=1, le=10)
    size: str = Field("1024x1024", pattern=r"^(auto|[1-9][0-9]{1,3}x[1-9][0-9]{1,3})$")
    seed: int | None = Field(None, ge=0, lt=2**63)
    response_format: Literal["url", "b64_json"] = "url"


Text = Annotated[str, Field(min_length=1)]


class EmbeddingBody(Body):
    """Body of `POST /v1/embeddings`."""

    input: Text | Annotated[list[Text], Field(min_length=1, max_length=2048)]
    model: str = Field("", max_length=512)
    encoding_format: Literal["float", "base64"] = "float"


class SpeechBody(Body):
    """Body of `POST /v1/audio/speech`."""

    input: str = Field(min_length=1, max_length=20_000)
    model: str = Field("", max_length=512)
    voice: str | None = Field(None, min_length=1, max_length=64)
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4)


class Transcript(BaseModel):
    """Answer of `/v1/asr`."""

    result: str
    status: int


class Usage(BaseModel):
    """Token counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChoiceMessage(BaseModel):
    """The answer's message."""

    role: Literal["assistant"]
    content: str | None
    tool_calls: list[dict[str, Any]] | None = None


class Choice(BaseModel):
    """The one answer."""

    index: int
    message: ChoiceMessage
    finish_reason: str


class SourcePassage(BaseModel):
    """A passage that the answer stands on."""

    document: str
    page: int | None
    passage: str
    score: float


class ChatCompletion(BaseModel):
    """Answer of `/v1/chat/completions`; `sources` where a category was given."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    sources: list[SourcePassage] | None = None


class GeneratedImage(BaseModel):
    """One image, by address or inline."""

    url: str | None = None
    b64_json: str | None = None


class GeneratedImages(BaseModel):
    """Answer of `/v1/images/generations`."""

    created: int
    data: list[GeneratedImage]


class Uploaded(BaseModel):
    """Answer of `/uploadFile/uploadLearningFile`."""

    result: bool


class LearningFile(BaseModel):
    """A document of a category."""

    id: str
    name: str
    pages: int
    passages: int
    bytes: int
    added_at: int


class LearningFiles(BaseModel):
    """Answer of `/uploadFile/learningFiles`."""

    result: bool
    data: list[LearningFile]


class ImageText(BaseModel):
    """Answer of `/image/imageToText`."""

    status: Literal["success"]
    classification: str
    caption: str
    samUrl: str  # noqa: N815  the documented name


class EnhancedImage(BaseModel):
    """Answer of `/image/enhanceImage`."""

    status: Literal["success"]
    enhanceImageUrl: str  # noqa: N815  the documented name


class GeneratedVideo(BaseModel):
    """Answer of `/image/generateVideo`."""

    status: Literal["success"]
    svdVideoUrl: str  # noqa: N815  the documented name


class TrackedVideo(BaseModel):
    """Answer of `/video/motInference`.

    `tracks` is the same result as MOTChallenge text, `counts` how many different objects of each class there were.
    """

    status: Literal["success"]
    data: str
    tracks: str
    counts: dict[str, int]


class InterpolatedVideo(BaseModel):
    """Answer of `/video/mmeditingInference`."""

    status: Literal["success"]
    data: str


class JobRecord(BaseModel):
    """Long work that was accepted; times are in seconds since 1970.

    `progress` is 0 to 1 and never falls; `result` is what the call would have answered, `error` why it failed.
    """

    id: str
    object: Literal["job"]
    route: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: float
    stage: str | None
    engine: str | None
    model: str | None
    attempts: int
    created_at: float
    started_at: float | None
    ended_at: float | None
    expires_at: float | None
    result: dict[str, Any] | None
    error: ErrorDetail | None


class JobRecords(BaseModel):
    """Answer of `/v1/jobs`."""

    object: Literal["list"]
    data: list[JobRecord]
    has_more: bool


class Model(BaseModel):
    """A model that is served, in OpenAI's shape and with what it is."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    capability: str
    engine: str
    license: str
    description: str
    embedded: bool
    state: str


class Models(BaseModel):
    """Answer of `/v1/models`."""

    object: Literal["list"]
    data: list[Model]


class Embedding(BaseModel):
    """One text's vector."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Token counts of an embedding call."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """Answer of `/v1/embeddings`."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class Readiness(BaseModel):
    """One capability's state."""

    state: str
    engine: str
    model: str
    reason: str
    load_s: float


class Ready(BaseModel):
    """Answer of `/readyz`."""

    status: Literal["ready", "starting"]
    capabilities: dict[str, Readiness]
