"""Chat by a language model that vLLM runs here (https://arxiv.org/abs/2309.06180): for a GPU.

Any checkpoint of a text or vision-language model that vLLM knows, with a chat template and safetensors weights; by
default Qwen3-8B (Apache-2.0, https://arxiv.org/abs/2505.09388), which answers without thinking aloud first. It calls
tools, follows a JSON schema, gives log probabilities and several answers, and takes images if the model does.

vLLM (Apache-2.0) has an environment of its own, which `make vllm` builds and the block chooses by
`py_executable: vllm/python`. The model runs in processes of vLLM's; this one prepares prompts and reads text, by the
very classes that serve OpenAI's interface in vLLM. On a CPU it takes as many threads as the block has `num_cpus`.
"""

import asyncio
import json
import os
import time
from argparse import Namespace
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError

from pipelines.chat.base import NEUTRAL, ChatRequest, Message
from pipelines.chat.completions import CompletionsChat, reason
from pipelines.chat.grounding import special_tokens_defused
from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable, Overloaded, SensoriumError
from pipelines.loading.checkpoint import TorchCheckpointConfig
from pipelines.loading.device import memory_share
from pipelines.loading.errors import reading
from pipelines.loading.weights import locate

MAX_LINGER_S = 30
MAX_STOP_S = 10
GIB = 1 << 30
_UNKNOWN = frozenset({"functions", "function_call", "modalities", "audio", "web_search_options"})
_PASSED = (frozenset(NEUTRAL) - _UNKNOWN) | {"top_p", "seed", "parallel_tool_calls"}
_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


class VllmConfig(TorchCheckpointConfig):
    """A language model on this machine's GPU or CPU. The block must also name `py_executable: vllm/python`."""

    licenses: ClassVar[Mapping[str, str]] = {"Qwen/Qwen3-8B": "Apache-2.0", "Qwen/Qwen3-0.6B": "Apache-2.0"}
    files: ClassVar[tuple[str, ...]] = ("model*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")

    engine: Literal["vllm"] = "vllm"
    model: str = Field("Qwen/Qwen3-8B", description="Hub id or local folder of an instruction-tuned language model.")
    context_tokens: int = Field(
        16_384,
        ge=1024,
        description="Maximum length of a conversation, its answer included, even if the model could read more.",
    )
    cache_gb: float = Field(
        1, gt=0, description="Size of the cache of keys and values on a CPU; on a GPU it is what the share leaves."
    )
    tool_parser: str = Field(
        "hermes", description="How the model writes the calls of tools, by vLLM's name: `hermes` for Qwen."
    )

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=self.name,
            license=self.license,
            description="A language model: converses freely, calls tools, follows a JSON schema, and answers from your "
            "documents if a category is named. It can be wrong.",
        )

    def load(self, resources: Resources) -> "VllmChat":
        """Load the model in processes of vLLM's."""
        spec = find_spec("vllm")
        if spec is None or spec.origin is None:
            raise ModelUnavailable(
                "vLLM's environment is not in use. Build it with `make vllm`, give this block "
                "`runtime_env: {py_executable: vllm/python}` in its ray_actor_options, and start again."
            )
        folder = locate(self.weights()[0])
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        with reading(self.name):
            return VllmChat(self, _arguments(self, folder))


class VllmChat(CompletionsChat):
    """One loaded language model.

    Args:
        config: what it was loaded by.
        arguments: those of vLLM's command `serve`, parsed.
    """

    follows = frozenset(NEUTRAL) - _UNKNOWN

    def __init__(self, config: VllmConfig, arguments: Namespace) -> None:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.entrypoints.launchers.api_server.app_state import init_app_state
        from vllm.v1.engine.async_llm import AsyncLLM

        self._llm = AsyncLLM.from_engine_args(AsyncEngineArgs.from_cli_args(arguments))
        state = Namespace()
        asyncio.run(init_app_state(self._llm, state, arguments, ("generate",)))
        self._serving = state.openai_serving_chat
        tokenizer = self._llm.get_tokenizer()
        super().__init__(
            config.name,
            self._llm.model_config.max_model_len,
            lambda text: len(tokenizer.encode(text, add_special_tokens=False)),
            special_tokens_defused(tokenizer),
        )
        self.reads_images = self._llm.model_config.is_multimodal_model
        self._is_closed = False

    @property
    def is_alive(self) -> bool:  # type: ignore[override]
        """Whether vLLM's processes run."""
        return not self._llm.errored

    def close(self) -> None:
        """Refuse new answers, wait at most half a minute for those under way, then end the processes. Blocks."""
        self._is_closed = True
        deadline_s = time.monotonic() + MAX_LINGER_S
        while self.is_alive and self._llm.get_num_unfinished_requests() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        self._llm.shutdown(MAX_STOP_S)

    async def _chunks(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
        from vllm.entrypoints.serve import create_error_response
        from vllm.entrypoints.serve.engine.protocol import ErrorResponse

        if self._is_closed:
            raise Overloaded(f"{self._model} is being replaced; send the request again.", 1)
        try:
            events = await self._serving.create_chat_completion(ChatCompletionRequest.model_validate(body))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise InvalidInput(f"{first['loc'][0]}: {first['msg']}", str(first["loc"][0])) from error
        except Exception as error:
            raise self._refusal(create_error_response(error).error) from error
        if isinstance(events, ErrorResponse):
            raise self._refusal(events.error)
        async with aclosing(events):
            async for event in events:
                if (data := event.removeprefix("data: ").strip()) == "[DONE]":
                    break
                chunk = json.loads(data)
                if "error" in chunk:
                    raise self._refusal(Namespace(**chunk["error"]))
                yield chunk

    def _body(self, request: ChatRequest, messages: tuple[Message, ...]) -> dict[str, Any]:
        # vLLM shortens an answer to the room that the prompt leaves, but refuses one longer than the whole context.
        within = replace(request, max_tokens=min(request.max_tokens, self._context_tokens))
        body = super()._body(within, messages)
        return {name: value for name, value in body.items() if name not in request.options or name in _PASSED}

    def _refusal(self, error: Any) -> SensoriumError:
        """What an error of vLLM's means to the caller."""
        if error.code in (400, 404, 413, 422):
            said = reason({"message": error.message}) or "it does not say why."
            return InvalidInput(f"{self._model} refuses the request: {said}", error.param)
        if error.code == 503:
            return Overloaded(f"{self._model} is busy; try again.")
        return ModelUnavailable(f"{self._model} failed while it was answering; send the request again.")

    def _broken_off(self) -> Overloaded:
        return Overloaded(f"{self._model} broke off its answer; send the request again.", 1)


def _arguments(config: VllmConfig, folder: Path) -> Namespace:
    """The options of vLLM's command `serve` for a model's folder."""
    from transformers import AutoConfig
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.platforms import current_platform
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    device = current_platform.device_type
    if config.device not in ("auto", device):
        raise ModelUnavailable(f"The configuration requests {config.device}, but vLLM runs on {device} here.")
    longest = AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config().max_position_embeddings
    words = [
        *("--model", str(folder), "--served-model-name", config.name, "--dtype", config.dtype),
        *("--max-model-len", str(min(config.context_tokens, longest))),
        *("--enable-auto-tool-choice", "--tool-call-parser", config.tool_parser),
        *("--tool-strict-level", "parameter"),  # arguments follow a tool's schema, whether it says `strict` or not
        *("--default-chat-template-kwargs", '{"enable_thinking": false}', "--disable-log-stats"),
    ]
    if device == "cpu":
        words += ["--enforce-eager", "--kv-cache-memory-bytes", str(int(config.cache_gb * GIB))]
    elif (share := memory_share()) is not None:
        words += ["--gpu-memory-utilization", str(share)]
    parsed: Namespace = make_arg_parser(FlexibleArgumentParser()).parse_args(words)
    return parsed
