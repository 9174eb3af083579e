"""Chat by a language model behind any server that speaks OpenAI's chat completions: vLLM, Ollama, llama.cpp, a cloud.

Conversations and options go on as they came, tools and JSON schema among them; the answer comes back as it is made.
Knows nothing of the model: what fits beside documents is judged by an estimate of tokens. Reasoning that a server sends
apart from the answer is left out.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field

from pipelines.chat.base import ChatModel, ChatRequest, Delta, FinishReason, Message, Usage
from pipelines.chat.extractive.followup import stand_alone
from pipelines.chat.grounding import build_grounded_messages
from pipelines.contracts.engine import Embed, EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable, Overloaded, SensoriumError
from pipelines.knowledge.base import Passage

if TYPE_CHECKING:
    import httpx

_CONNECT_S = 10
_LONGEST_LINE_BYTES = 16 << 20
_LONGEST_ERROR_BYTES = 64 << 10
_LONGEST_REASON = 300
_MESSAGE_TOKENS = 8  # what a chat template puts round a message
_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_PATH = re.compile(r"\w+://\S+|(?:\b[A-Za-z]:)?(?:[\\/]+[\w.~-]+){2,}[\\/]?")


class OpenAIConfig(EngineConfig):
    """A language model on another server."""

    engine: Literal["openai"] = "openai"
    base_url: str = Field(
        "http://127.0.0.1:8001/v1",
        pattern=r"^https?://[^\s/]+",
        description="Where the server's interface begins, up to and including `/v1`.",
    )
    model: str = Field("Qwen/Qwen2.5-7B-Instruct", min_length=1, description="What the server calls the model.")
    api_key_env: str | None = Field(
        None, pattern=r"^\w+$", description="Name of the environment variable that holds the server's key."
    )
    timeout_s: float = Field(120, gt=0, description="Longest silence of the server, before its answer and within it.")
    context_tokens: int = Field(
        8192, ge=1024, description="Tokens that a conversation about documents may have, its answer included."
    )

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=self.model,
            license="see the model's page",
            description="A language model on another server: converses freely, calls tools and follows a JSON schema "
            "where that server does, and answers from your documents where a category is named. It can be wrong.",
        )

    def load(self, resources: Resources) -> "OpenAIChat":
        """Make ready to ask the server; it need not be there yet.

        Args:
            embed: sentence embeddings, for questions that lean on earlier ones; blocks.

        Raises:
            ModelUnavailable: the environment variable of the key is not set.
        """
        return OpenAIChat.load(self, resources.embed)


class OpenAIChat(ChatModel):
    """A connection for each answer; it is closed with the answer. Tokens are those that the server counts.

    Args:
        config: the server and its model.
        key: sent as a bearer token.
        tls: for `https`; None for `http`.
        embed: sentence embeddings; blocks.
    """

    def __init__(self, config: OpenAIConfig, key: str | None, tls: Any, embed: Embed) -> None:
        self._config = config
        self._url = config.base_url.rstrip("/") + "/chat/completions"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._tls = tls
        self._embed = embed

    @classmethod
    def load(cls, config: OpenAIConfig, embed: Embed) -> Self:
        """Read the key from the environment."""
        import httpx

        key = os.environ.get(config.api_key_env) if config.api_key_env else None
        if config.api_key_env and not key:
            raise ModelUnavailable(f"The key of {config.model}'s server is missing: set {config.api_key_env}.")
        tls = httpx.create_ssl_context() if config.base_url.startswith("https") else None
        return cls(config, key, tls, embed)

    async def rewrite_query(self, messages: tuple[Message, ...]) -> str:
        """The last question as a query that stands alone, by rules."""
        return await asyncio.to_thread(stand_alone, messages, self._embed)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Pass the answer on as it comes; see `ChatModel`. `usage` is None where the server does not tell it.

        Raises:
            InvalidInput: what the server refuses, or a conversation that leaves no room for its answer.
            ModelUnavailable: the server is not there, refuses the key, does not know the model, or fails.
            Overloaded: it is busy, silent for too long, or breaks off.
        """
        messages: tuple[Message, ...] = request.messages
        sources: tuple[Passage, ...] = ()
        if request.passages is not None:
            messages, sources = self._ground(request, request.passages)
        finish: FinishReason | None = None
        usage: Usage | None = None
        async with aclosing(self._events(self._body(request, messages))) as events:
            async for event in events:
                usage = _usage(event) or usage
                choice = (event.get("choices") or [{}])[0]
                said = choice.get("delta") or {}
                if said.get("content") or said.get("tool_calls"):
                    yield Delta(text=said.get("content") or "", tool_calls=tuple(said.get("tool_calls") or ()))
                if choice.get("finish_reason"):
                    finish = _FINISH.get(choice["finish_reason"], "stop")
        if finish is None:
            raise self._broken_off()
        yield Delta(finish_reason=finish, usage=usage, sources=sources)

    def _body(self, request: ChatRequest, messages: tuple[Message, ...]) -> dict[str, Any]:
        if request.options.get("n") not in (None, 1):
            raise InvalidInput("`n` must be 1: one answer at a time.", "n")
        return {
            **request.options,
            "model": self._config.model,
            "messages": [{"role": m.role, "content": m.content, **m.extra} for m in messages],
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            **({"stop": list(request.stop)} if request.stop else {}),
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def _ground(
        self, request: ChatRequest, passages: tuple[Passage, ...]
    ) -> tuple[tuple[Message, ...], tuple[Passage, ...]]:
        context = self._config.context_tokens
        answer = min(request.max_tokens, context // 2)
        budget = context - answer - _MESSAGE_TOKENS * (len(request.messages) + 1)
        try:
            return build_grounded_messages(request.messages, passages, estimate_tokens, budget)
        except InvalidInput as error:
            raise InvalidInput(
                f"The conversation is too long: with its answer and the documents it may have {context} tokens. "
                "Send fewer or shorter messages.",
                "messages",
            ) from error

    async def _events(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The server's events; the connection ends with the generator."""
        import httpx

        timeout = httpx.Timeout(self._config.timeout_s, connect=min(_CONNECT_S, self._config.timeout_s))
        try:
            async with (
                # To verify nothing is for plain `http` alone, where it saves reading the certificates each time.
                httpx.AsyncClient(verify=self._tls or False, timeout=timeout) as client,
                client.stream("POST", self._url, json=body, headers=self._headers) as response,
            ):
                if response.status_code != 200:
                    raise self._refusal(response.status_code, await _beginning(response), response.headers)
                async for line in _lines(response):
                    if line == b"data: [DONE]":
                        return
                    if line.startswith(b"data:"):
                        yield self._event(line[5:])
        except httpx.TimeoutException as error:
            raise Overloaded(f"{self._config.model}'s server does not answer in time; try again.", 10) from error
        except httpx.ConnectError as error:
            raise ModelUnavailable(f"{self._config.model}'s server cannot be reached.") from error
        except httpx.TransportError as error:
            raise self._broken_off() from error

    def _event(self, data: bytes) -> dict[str, Any]:
        try:
            event = json.loads(data)
        except ValueError as error:
            raise self._broken_off() from error
        if not isinstance(event, dict):
            raise self._broken_off()
        if failure := event.get("error"):
            code = failure.get("code") if isinstance(failure, dict) else None
            raise self._refusal(code if isinstance(code, int) else 500, data, {})
        return event

    def _refusal(self, status: int, body: bytes, headers: "httpx.Headers | dict[str, str]") -> SensoriumError:
        """What an answer that is none means."""
        model = self._config.model
        if status in (400, 413, 422):
            return InvalidInput(f"{model}'s server refuses the request: {_reason(body) or 'it does not say why.'}")
        if status in (401, 403):
            named = self._config.api_key_env or "`api_key_env` in the configuration"
            return ModelUnavailable(f"{model}'s server refuses the key: see {named}.")
        if status == 404:
            return ModelUnavailable(f"The configured server does not know the model {model}.")
        if status in (408, 429, 502, 503, 504, 529):
            wait = headers.get("retry-after", "")
            return Overloaded(f"{model}'s server is busy; try again.", int(wait) if wait.isdecimal() else 5)
        return ModelUnavailable(f"{model}'s server failed (status {status}).")

    def _broken_off(self) -> Overloaded:
        return Overloaded(f"{self._config.model}'s server broke off its answer; send the request again.", 1)


def estimate_tokens(text: str) -> int:
    """About as many tokens as a model's own count, rather more: a third of the bytes in UTF-8."""
    return len(text.encode("utf-8", "replace")) // 3 + 1


def _usage(event: dict[str, Any]) -> Usage | None:
    told = event.get("usage") or {}
    prompt, completion = told.get("prompt_tokens"), told.get("completion_tokens")
    return Usage(prompt, completion) if isinstance(prompt, int) and isinstance(completion, int) else None


def _reason(body: bytes) -> str:
    """A server's own words on what is wrong with a request: one line, without addresses and paths."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    for key in ("error", "message", "detail"):
        if isinstance(told, dict):
            told = told.get(key) or told
    if not isinstance(told, str):
        return ""
    line = next((line.strip() for line in told.splitlines() if line.strip()), "")
    plain = "".join(character for character in _PATH.sub("…", line) if character.isprintable())
    return plain if len(plain) <= _LONGEST_REASON else plain[:_LONGEST_REASON] + "…"


async def _beginning(response: "httpx.Response") -> bytes:
    read = b""
    async for chunk in response.aiter_bytes():
        read += chunk
        if len(read) > _LONGEST_ERROR_BYTES:
            break
    return read


async def _lines(response: "httpx.Response") -> AsyncIterator[bytes]:
    """Lines that end in LF or CR LF: `aiter_lines` also splits at characters that JSON may hold."""
    import httpx

    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.rstrip()
        if len(rest) > _LONGEST_LINE_BYTES:
            raise httpx.RemoteProtocolError("a line without an end")
    yield rest.rstrip()
