"""What every chat engine offers.

Chat engines are asynchronous, unlike the others: a language model answers many callers at once (continuous batching, or
a server elsewhere), so one thread per engine would serialize what the model itself runs in parallel.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pipelines.contracts.errors import InvalidInput, UnsupportedByEngine
from pipelines.knowledge.base import Passage

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "top_k": (0, -1),
    "min_p": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "modalities": (["text"],),
    "audio": (),
    "web_search_options": (),
}
"""Parameters that ask for another answer, with the values that change nothing."""


@dataclass(frozen=True)
class Message:
    """One turn.

    Attributes:
        content: its text.
        extra: OpenAI's further keys (`name`, `tool_calls`, `tool_call_id`).
        parts: text and images as OpenAI's content parts, if there are images; `content` is then the text alone.
    """

    role: Role
    content: str
    extra: dict[str, Any] = field(default_factory=dict)
    parts: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class ChatRequest:
    """One question.

    Attributes:
        passages: what retrieval found for a grounded question, best first; `None` if the question is not grounded.
        options: OpenAI's further parameters (`top_p`, `seed`, `tools`, `response_format`, …) as the client sent them.
    """

    messages: tuple[Message, ...]
    temperature: float = 0.8
    max_tokens: int = 500
    stop: tuple[str, ...] = ()
    passages: tuple[Passage, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Usage:
    """Real token counts."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Delta:
    """A piece of an answer; `n` answers come interleaved.

    Attributes:
        index: of the answer, below `n`.
        logprobs: OpenAI's list of the piece's tokens and their log probabilities, if they were asked for.
        finish_reason: of an answer's last delta, and only of that.
        usage: of all answers; of the very last delta, and only of that.
        sources: the passages that the model was shown, if there is a `finish_reason`.
    """

    text: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    sources: tuple[Passage, ...] = ()
    index: int = 0
    logprobs: tuple[dict[str, Any], ...] = ()


class ChatModel(ABC):
    """One loaded model. Any number of `stream` calls may run at once on one event loop.

    Attributes:
        follows: the parameters of `NEUTRAL` that this engine follows.
        reads_images: whether this model takes images in messages.
        is_alive: false once the model has ended and only a new process can answer.
    """

    follows: ClassVar[frozenset[str]] = frozenset()
    reads_images: bool = False
    is_alive: bool = True

    def check(self, request: ChatRequest) -> None:
        """See that the engine can do what a request asks for.

        Raises:
            UnsupportedByEngine: a parameter that this engine does not follow, or an image for a model that takes none.
            InvalidInput: an image by its address.
        """
        for name, neutral in NEUTRAL.items():
            value = request.options.get(name)
            if value is not None and value not in neutral and name not in self.follows:
                raise UnsupportedByEngine(f"`{name}` is not supported by the engine that serves this model.", name)
        for turn, message in enumerate(request.messages):
            for number, part in enumerate(message.parts):
                if part["type"] != "text":
                    self._check_image(part["image_url"]["url"], f"messages.{turn}.content.{number}")

    def _check_image(self, url: str, where: str) -> None:
        if not self.reads_images:
            raise UnsupportedByEngine("This model reads text only: it takes no images.", f"{where}.type")
        if not url.startswith("data:image/"):
            problem = "An image is sent as a data URL (data:image/png;base64,…); nothing is fetched."
            raise InvalidInput(problem, f"{where}.image_url.url")

    async def rewrite_query(self, messages: tuple[Message, ...]) -> str:
        """The last question as a query for retrieval; an engine may complete it from earlier turns ("and in 2023?")."""
        return next((message.content for message in reversed(messages) if message.role == "user"), "")

    def answers_as(self, *, grounded: bool) -> str | None:
        """The model that answers such questions, if it is another than the configuration's card names."""
        return None

    @abstractmethod
    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Answer piece by piece; closing the iterator stops the generation.

        Raises:
            InvalidInput: messages or options that the model does not support.
        """

    def close(self) -> None:  # noqa: B027  (not every engine has something to close)
        """Wait for the answers under way, then release what the engine holds. Blocks: not for the event loop."""
