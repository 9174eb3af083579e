"""Chat by a language model behind any server that speaks OpenAI's chat completions: vLLM, Ollama, llama.cpp, a cloud.

`completions.py` says what passes through. The server says whether its model takes images and follows an option.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipelines.chat.completions import CompletionsChat, reason
from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable, Overloaded, SensoriumError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MAX_CONNECT_S = 10
MAX_LINGER_S = 30


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
            "if that server does, and answers from your documents if a category is named. It can be wrong.",
        )

    def load(self, resources: Resources) -> "OpenAIChat":
        """Make the client; the server need not be up yet."""
        from openai import AsyncOpenAI, Omit, Timeout

        key = os.environ.get(self.api_key_env) if self.api_key_env else None
        if self.api_key_env and not key:
            raise ModelUnavailable(f"The key of {self.model}'s server is missing: set {self.api_key_env}.")
        timeout = Timeout(self.timeout_s, connect=min(MAX_CONNECT_S, self.timeout_s))
        client = AsyncOpenAI(base_url=self.base_url, api_key=key or "none", timeout=timeout, max_retries=0)
        # The client would take the account from variables that are meant for OpenAI's own server.
        account = {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
        return OpenAIChat(self, client, {"Authorization": f"Bearer {key}" if key else Omit(), **account})


class OpenAIChat(CompletionsChat):
    """One client, whose connections all answers share. Tokens are those that the server counts.

    Args:
        config: the server and its model.
        client: for the server; never retries. Closed with the engine.
        headers: sent with each request.
    """

    def __init__(self, config: OpenAIConfig, client: "AsyncOpenAI", headers: dict[str, Any]) -> None:
        super().__init__(config.model, config.context_tokens)
        self._config = config
        self._client = client
        self._headers = headers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answering = 0

    def close(self) -> None:
        """Let answers under way end, for half a minute at most, then close the connections. Blocks."""
        deadline_s = time.monotonic() + MAX_LINGER_S
        while self._answering and time.monotonic() < deadline_s:
            time.sleep(0.05)
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result()

    async def _chunks(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """See `CompletionsChat`."""
        import httpx2
        import openai

        if self._client.is_closed():
            raise Overloaded(f"{self._model} is being replaced; send the request again.", 1)
        events: openai.AsyncStream[Any] | None = None
        self._loop = asyncio.get_running_loop()
        self._answering += 1
        try:
            events = await self._client.post(
                "/chat/completions",
                cast_to=object,
                body=body,
                options={"headers": self._headers, "follow_redirects": False},
                stream=True,
                stream_cls=openai.AsyncStream[Any],
            )
            async with events:
                async for event in events:
                    if not isinstance(event, dict):
                        raise self._broken_off()
                    yield event
        except (openai.APITimeoutError, httpx2.TimeoutException) as error:
            raise Overloaded(f"{self._model}'s server did not answer in time; try again.", 10) from error
        except openai.APIStatusError as error:
            raise self._refusal(error.status_code, error.response.text, error.response.headers) from error
        except openai.APIConnectionError as error:
            if events is None:
                raise ModelUnavailable(f"{self._model}'s server cannot be reached.") from error
            raise self._broken_off() from error
        except openai.APIError as error:  # sent as an event
            status = int(error.code) if error.code and error.code.isdecimal() else 500
            raise self._refusal(status, error.body, {}) from error
        except (httpx2.TransportError, ValueError) as error:  # while reading a refusal; an event that is not JSON
            raise self._broken_off() from error
        finally:
            self._answering -= 1

    def _refusal(self, status: int, content: object, headers: Mapping[str, str]) -> SensoriumError:
        """What a server's refusal means to the caller."""
        model = self._model
        if status in (400, 413, 422):
            return InvalidInput(f"{model}'s server refuses the request: {reason(content) or 'it does not say why.'}")
        if status in (401, 403):
            named = self._config.api_key_env or "`api_key_env` in the configuration"
            return ModelUnavailable(f"{model}'s server refuses the key: see {named}.")
        if status == 404:
            return ModelUnavailable(f"The configured server does not know the model {model}.")
        if status in (408, 429, 502, 503, 504, 529):
            wait = headers.get("retry-after", "")
            return Overloaded(f"{model}'s server is busy; try again.", int(wait) if wait.isdecimal() else 5)
        return ModelUnavailable(f"{model}'s server failed (status {status}).")
