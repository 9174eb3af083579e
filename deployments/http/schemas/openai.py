"""What the routes take and give that follow OpenAI, and the one that follows Jina."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """Base of JSON bodies: numbers are numbers, and finite; further keys, as OpenAI's clients may send, pass."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False, protected_namespaces=())


class TextPart(Body):
    """One part of a message's content."""

    type: Literal["text"]
    text: str


class ImageUrl(Body):
    """Where an image is; `data:image/…` is taken, nothing is fetched."""

    url: str


class ImagePart(Body):
    """One part of a message's content."""

    type: Literal["image_url"]
    image_url: ImageUrl


class ChatMessage(Body):
    """One turn of the conversation."""

    role: Literal["user", "assistant", "system", "developer", "tool"] = "user"
    content: str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]] | None = None


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
    n: int | None = Field(None, ge=1, le=128)


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


class Logprobs(BaseModel):
    """Log probabilities of an answer's tokens, in OpenAI's shape."""

    content: list[dict[str, Any]]


class Choice(BaseModel):
    """One answer."""

    index: int
    message: ChoiceMessage
    finish_reason: str
    logprobs: Logprobs | None = None


class SourcePassage(BaseModel):
    """A passage that the answer is based on."""

    document: str
    page: int | None
    passage: str
    score: float


class ChatCompletion(BaseModel):
    """Answer of `/v1/chat/completions`; `sources` if a category was given."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    sources: list[SourcePassage] | None = None


class ImageBody(Body):
    """Body of `POST /v1/images/generations`."""

    prompt: str = Field(min_length=1, max_length=4000)
    n: int = Field(1, ge=1, le=10)
    size: str = Field("1024x1024", pattern=r"^(auto|[1-9][0-9]{1,3}x[1-9][0-9]{1,3})$")
    seed: int | None = Field(None, ge=0, lt=2**63)
    response_format: Literal["url", "b64_json"] = "url"


class ImageEditForm(ImageBody):
    """Fields of the form of `POST /v1/images/edits`, beside its files."""

    model_config = ConfigDict(strict=False)  # a form's fields are text

    size: str = Field("auto", pattern=r"^(auto|[1-9][0-9]{1,3}x[1-9][0-9]{1,3})$")


class GeneratedImage(BaseModel):
    """One image, by URL or inline."""

    url: str | None = None
    b64_json: str | None = None


class GeneratedImages(BaseModel):
    """Answer of `/v1/images/generations`."""

    created: int
    data: list[GeneratedImage]


Text = Annotated[str, Field(min_length=1)]


class EmbeddingBody(Body):
    """Body of `POST /v1/embeddings`."""

    input: Text | Annotated[list[Text], Field(min_length=1, max_length=2048)]
    model: str = Field("", max_length=512)
    encoding_format: Literal["float", "base64"] = "float"


class Embedding(BaseModel):
    """One text's vector."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Token counts of a call that writes no text."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """Answer of `/v1/embeddings`."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class RerankDocument(Body):
    """A text to rerank."""

    text: Text


class RerankBody(Body):
    """Body of `POST /v1/rerank`, in Jina's shape."""

    query: Text
    documents: list[Text | RerankDocument] = Field(min_length=1, max_length=2048)
    model: str = Field("", max_length=512)
    top_n: int | None = Field(None, ge=1)
    return_documents: bool = True


class RerankResult(BaseModel):
    """One text, by its place in the request, and how well it answers the query, 0 to 1."""

    index: int
    relevance_score: float
    document: RerankDocument | None = None


class Reranking(BaseModel):
    """Answer of `/v1/rerank`, best first."""

    model: str
    results: list[RerankResult]
    usage: EmbeddingUsage


class SpeechBody(Body):
    """Body of `POST /v1/audio/speech`."""

    input: str = Field(min_length=1, max_length=20_000)
    model: str = Field("", max_length=512)
    voice: str | None = Field(None, min_length=1, max_length=64)
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4)


class Model(BaseModel):
    """A served model, in OpenAI's shape, with its card and state. `licence` repeats `license`, for older clients."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    capability: str
    engine: str
    license: str
    licence: str
    description: str
    embedded: bool
    state: str


class Models(BaseModel):
    """Answer of `/v1/models`."""

    object: Literal["list"]
    data: list[Model]
