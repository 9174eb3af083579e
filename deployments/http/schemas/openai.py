"""What the routes take and give that follow OpenAI, and the one that follows Jina."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError


def _with_null(schema: dict[str, Any]) -> None:
    """Say of each optional field that it may be null."""
    for name, field in schema.get("properties", {}).items():
        if name not in schema.get("required", ()) and {"type": "null"} not in field.get("anyOf", ()):
            about = {key: field.pop(key) for key in ("title", "description", "default") if key in field}
            schema["properties"][name] = {"anyOf": [field, {"type": "null"}], **about}


class Body(BaseModel):
    """Base of JSON bodies: numbers are numbers, and finite; further keys, as OpenAI's clients may send, pass.

    A null is as if the key were not there.
    """

    model_config = ConfigDict(
        extra="allow", strict=True, allow_inf_nan=False, protected_namespaces=(), json_schema_extra=_with_null
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, sent: Any) -> Any:
        return {key: value for key, value in sent.items() if value is not None} if isinstance(sent, dict) else sent


def _either(says: str, **kinds: type) -> Discriminator:
    """Tells the members of a union apart by the type of what is sent; whoever sends another reads what is taken."""

    def tag(sent: Any) -> str | None:
        return next((name for name, kind in kinds.items() if isinstance(sent, kind)), None)

    return Discriminator(tag, custom_error_type="union", custom_error_message=f"Input should be {says}")


def _refuse(sent: bool) -> bool:
    if sent:
        raise PydanticCustomError("unsupported", "Input should be false: this route does not stream")
    return sent


NotStreamed = Annotated[bool, AfterValidator(_refuse), WithJsonSchema({"type": "boolean", "const": False})]


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


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class ChatMessage(Body):
    """One turn of the conversation."""

    role: Literal["user", "assistant", "system", "developer", "tool"] = "user"
    content: (
        Annotated[
            Annotated[str, Tag("text")] | Annotated[list[Part], Tag("parts")],
            _either("a string or a list of parts", text=str, parts=list),
        ]
        | None
    ) = None


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
    owner: str | None = Field(None, max_length=255, description="Whose category it is, if it is shared")
    stream: bool = False
    stream_options: StreamOptions | None = None
    stop: (
        Annotated[
            Annotated[str, Tag("text")] | Annotated[list[str], Tag("texts")],
            _either("a string or a list of strings", text=str, texts=list),
        ]
        | None
    ) = None
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
    output_format: Literal["png"] = "png"
    background: Literal["auto", "opaque"] = "auto"
    stream: NotStreamed = False


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


def _input_kind(sent: Any) -> str | None:
    if isinstance(sent, str):
        return "text"
    items = sent if isinstance(sent, list) else [None]
    if all(isinstance(item, str) for item in items):
        return "texts"
    ids = [each for item in items for each in (item if isinstance(item, list) else [item])]
    return "ids" if all(type(each) is int for each in ids) else None


def _refuse_ids(_: list[Any]) -> list[Any]:
    raise PydanticCustomError(
        "token_ids",
        "Token ids are those of one model's tokenizer, and nothing tells which. Send strings; in LangChain's "
        "OpenAIEmbeddings, set check_embedding_ctx_length=False",
    )


MAX_CHARACTERS = 2_000_000

TextsT = TypeVar("TextsT", str, list[str])


def _limited(sent: TextsT) -> TextsT:
    """A text, or texts, of a length that is embedded in minutes."""
    if sum(map(len, sent)) > MAX_CHARACTERS:
        raise PydanticCustomError(
            "too_many_characters", f"A call takes at most {MAX_CHARACTERS:,} characters. Send several calls."
        )
    return sent


class EmbeddingBody(Body):
    """Body of `POST /v1/embeddings`."""

    input: Annotated[
        Annotated[Text, AfterValidator(_limited), Tag("text")]
        | Annotated[list[Text], Field(min_length=1, max_length=2048), AfterValidator(_limited), Tag("texts")]
        | Annotated[SkipJsonSchema[Annotated[list[Any], AfterValidator(_refuse_ids)]], Tag("ids")],
        Discriminator(
            _input_kind,
            custom_error_type="union",
            custom_error_message="Input should be a string, a list of strings or of token ids",
        ),
    ]
    model: str = Field("", max_length=512)
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1)


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
    documents: list[
        Annotated[
            Annotated[Text, Tag("text")] | Annotated[RerankDocument, Tag("object")],
            _either("a string or an object with `text`", text=str, object=dict),
        ]
    ] = Field(min_length=1, max_length=2048)
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
    stream_format: Literal["audio"] = "audio"


class TranscriptionForm(Body):
    """Fields of the form of `POST /v1/audio/transcriptions`, beside its file."""

    model_config = ConfigDict(strict=False)  # a form's fields are text

    model: str = Field("", max_length=512)
    language: str | None = Field(None, max_length=64)
    response_format: Literal["json", "text", "srt", "vtt", "verbose_json"] = "json"
    stream: NotStreamed = False


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
