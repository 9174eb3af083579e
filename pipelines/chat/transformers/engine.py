"""Chat by a small language model, run here by transformers with continuous batching: for a CPU.

Any checkpoint of a decoder-only architecture that transformers knows, whose state is keys and values (not Mamba), with
a chat template and safetensors weights; by default Qwen3-0.6B (Apache-2.0, https://arxiv.org/abs/2505.09388), which
answers without thinking aloud first. Many conversations share each step of the model; one that is closed leaves the
batch at the next step. Does not call tools or follow a JSON schema: the engines `vllm` and `openai` do.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import Field

from pipelines.chat.base import ChatModel, ChatRequest, Delta, FinishReason, Message, Usage
from pipelines.chat.condense import condense
from pipelines.chat.grounding import build_grounded_messages, special_tokens_defused
from pipelines.chat.transformers.token_text import TokenText
from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.knowledge.base import Passage
from pipelines.loading.checkpoint import TorchCheckpointConfig
from pipelines.loading.device import select_device
from pipelines.loading.gguf import without_gguf
from pipelines.loading.pretrained import read_model, read_tokenizer

if TYPE_CHECKING:
    from pipelines.chat.transformers.batch import Sampler

T = TypeVar("T")

_MARGIN_TOKENS = 16  # texts counted one by one can add up to a little less than all of them together


class TransformersConfig(TorchCheckpointConfig):
    """A language model on this machine's GPU or CPU."""

    licenses: ClassVar[Mapping[str, str]] = {
        "Qwen/Qwen3-0.6B": "Apache-2.0",
        "Qwen/Qwen2.5-0.5B-Instruct": "Apache-2.0",
    }
    files: ClassVar[tuple[str, ...]] = ("model*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")

    engine: Literal["transformers"] = "transformers"
    model: str = Field(
        "Qwen/Qwen3-0.6B",
        description="Hub id or local folder of an instruction-tuned language model, or a GGUF file of one.",
    )
    cache_tokens: int = Field(
        8192,
        ge=1024,
        description="Tokens that all conversations may hold together, each counted as the longest of them, and the "
        "maximum length of one conversation even if the model could read more; others wait. A token takes 229 kB with "
        "Qwen3-0.6B (float32).",
    )

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=self.name,
            license=self.license,
            description="A language model: converses freely, and answers from your documents if a category is named. "
            "It can be wrong. Calls no tools.",
        )

    def load(self, resources: Resources) -> "TransformersChat":
        """Load the model and start its thread."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        weights = without_gguf(self.weights()[0], resources.data_dir)
        tokenizer = read_tokenizer(AutoTokenizer, weights)
        if not tokenizer.chat_template:
            raise ModelUnavailable(f"{self.name} has no chat template: choose an instruction-tuned model.")
        placement = select_device(self.device, self.dtype)
        model = read_model(AutoModelForCausalLM, weights, placement, device_map={"": placement.device})
        return TransformersChat(model, tokenizer, self.name, self.cache_tokens)


class TransformersChat(ChatModel):
    """One loaded language model. Tokens are the model's own.

    Args:
        model: a causal language model of transformers, on its device.
        tokenizer: with a chat template.
        name: the model's name in error messages.
        cache_tokens: size of the cache, shared by all conversations.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, cache_tokens: int) -> None:
        from pipelines.chat.transformers.batch import Batch

        self._tokenizer = tokenizer
        self._name = name
        self._ends = _end_tokens(model, tokenizer)
        self._batch = Batch(model, name, cache_tokens, self._ends)
        max_positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self._context = min(cache_tokens, max_positions or cache_tokens)
        self._default_top_p = model.generation_config.top_p or 1.0
        self._defuse = special_tokens_defused(tokenizer)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenizer")

    async def rewrite_query(self, messages: tuple[Message, ...]) -> str:
        """The last question as a standalone query, written by the model."""
        return await condense(self, messages)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Answer token by token; see `ChatModel`. Of the options, `top_p` and `seed` are followed.

        Raises:
            InvalidInput: the conversation is too long or refused by the model's chat template, or this engine cannot
                follow an option.
            ModelUnavailable: the model failed.
            Overloaded: the engine is being replaced, or the device is out of memory.
        """
        choose = self._sampler(request)
        prompt, sources = await self._run(partial(self._prepare, request))
        text, made = TokenText(self._decode, request.stop), 0
        reason: FinishReason = "length"
        max_tokens = min(request.max_tokens, self._context - len(prompt))
        async with aclosing(self._batch.generate(prompt, max_tokens, choose)) as tokens:
            async for token in tokens:
                made += 1
                if token in self._ends:
                    reason = "stop"
                    break
                if piece := text.push(token):
                    yield Delta(text=piece)
                if text.stopped:
                    reason = "stop"
                    break
        if not text.stopped and (rest := text.finish()):
            yield Delta(text=rest)
        yield Delta(finish_reason=reason, usage=Usage(len(prompt), made), sources=sources)

    def close(self) -> None:
        """Wait at most half a minute for the answers under way, then stop the model. Blocks."""
        self._batch.close()

    def _sampler(self, request: ChatRequest) -> "Sampler":
        from pipelines.chat.transformers.batch import Sampler

        top_p, seed = request.options.get("top_p"), request.options.get("seed")
        if top_p is not None and (isinstance(top_p, bool) or not isinstance(top_p, int | float) or not 0 < top_p <= 1):
            raise InvalidInput("`top_p` must be a number above 0 and at most 1.", "top_p")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise InvalidInput("`seed` must be a whole number.", "seed")
        return Sampler(
            float(request.temperature),
            float(self._default_top_p if top_p is None else top_p),
            secrets.randbits(63) if seed is None else seed,
        )

    def _prepare(self, request: ChatRequest) -> tuple[list[int], tuple[Passage, ...]]:
        """The prompt's tokens, and the passages in it."""
        messages: tuple[Message, ...] = request.messages
        sources: tuple[Passage, ...] = ()
        if request.passages is not None:
            messages, sources = self._ground(request, request.passages)
        prompt = self._encode(self._template(messages))
        if len(prompt) >= self._context:
            raise InvalidInput(
                f"The conversation is {len(prompt)} tokens long; {self._name} takes {self._context} here, with its "
                "answer. Send fewer or shorter messages.",
                "messages",
            )
        return prompt, sources

    def _ground(
        self, request: ChatRequest, passages: Sequence[Passage]
    ) -> tuple[tuple[Message, ...], tuple[Passage, ...]]:
        system = [Message("system", "")] if any(m.role == "system" for m in request.messages) else []
        frame = [*system, *(replace(m, content="") for m in request.messages if m.role != "system")]
        spent = len(self._encode(self._template(frame))) + _MARGIN_TOKENS
        budget = self._context - min(request.max_tokens, self._context // 2) - spent
        return build_grounded_messages(
            request.messages, passages, lambda text: len(self._encode(text)), budget, self._defuse
        )

    def _template(self, messages: Sequence[Message]) -> str:
        from jinja2 import TemplateError

        turns = [{"role": message.role, "content": message.content, **message.extra} for message in messages]
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    turns, tokenize=False, add_generation_prompt=True, enable_thinking=False
                )
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"The chat template of {self._name} refuses this conversation: a role, the order of roles, or a "
                "message's further keys.",
                "messages",
            ) from error

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    found = model.generation_config.eos_token_id
    ends = found if isinstance(found, list) else [found]
    return tuple(sorted({token for token in [*ends, tokenizer.eos_token_id] if token is not None}))
