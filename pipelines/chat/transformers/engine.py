"""Chat by a language model, run here by transformers with continuous batching and paged attention.

Any checkpoint of a decoder-only architecture that transformers knows, with a chat template and safetensors weights;
by default Qwen2.5-7B-Instruct (Apache-2.0, https://arxiv.org/abs/2412.15115); for a CPU, Qwen2.5-0.5B-Instruct
(Apache-2.0). Many conversations share each step of the model; one that is closed leaves the batch at the next step.
Does not call tools or follow a JSON schema: the `openai` engine passes those on to a server that does.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field

from pipelines.chat.base import ChatModel, ChatRequest, Delta, FinishReason, Message, Usage
from pipelines.chat.condense import condense
from pipelines.chat.grounding import build_grounded_messages
from pipelines.chat.transformers.token_text import TokenText
from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.knowledge.base import Passage
from pipelines.loading.checkpoint import TorchCheckpointConfig
from pipelines.loading.device import select_device
from pipelines.loading.gguf import without_gguf
from pipelines.loading.pretrained import read_model, read_tokenizer

T = TypeVar("T")

_MARGIN_TOKENS = 16  # texts counted one by one can add up to a little less than all of them together
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "tools": ([],),
    "functions": ([],),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "top_k": (0, -1),
    "min_p": (0,),
}
"""Options that this engine does not follow, with the values that change nothing."""


class TransformersConfig(TorchCheckpointConfig):
    """A language model on this machine's GPU or CPU."""

    licenses: ClassVar[Mapping[str, str]] = {
        "Qwen/Qwen2.5-7B-Instruct": "Apache-2.0",
        "Qwen/Qwen2.5-0.5B-Instruct": "Apache-2.0",
    }
    files: ClassVar[tuple[str, ...]] = ("model*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")

    engine: Literal["transformers"] = "transformers"
    model: str = Field(
        "Qwen/Qwen2.5-7B-Instruct",
        description="Hub id or local folder of an instruction-tuned language model, or a GGUF file of one.",
    )
    cache_tokens: int = Field(
        32_768,
        ge=1024,
        description="Size of the cache that all conversations share, in tokens, and the maximum length of one "
        "conversation even if the model could read more. A token takes 57 kB with the 7B model (bfloat16), 25 kB with "
        "the 0.5B one (float32).",
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
        from transformers.utils.import_utils import is_flash_attn_2_available

        weights = without_gguf(self.weights()[0], resources.data_dir)
        tokenizer = read_tokenizer(AutoTokenizer, weights)
        if not tokenizer.chat_template:
            raise ModelUnavailable(f"{self.name} has no chat template: choose an instruction-tuned model.")
        placement = select_device(self.device, self.dtype)
        # Flash attention needs no mask, which lets CUDA graphs pay off.
        is_flash = placement.device.type == "cuda" and is_flash_attn_2_available()
        model = read_model(
            AutoModelForCausalLM,
            weights,
            placement,
            device_map={"": placement.device},
            attn_implementation="flash_attention_2" if is_flash else "sdpa",
        )
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
        from pipelines.chat.transformers.continuous_batch import ContinuousBatch

        self._tokenizer = tokenizer
        self._name = name
        self._ends = _end_tokens(model, tokenizer)
        self._batch = ContinuousBatch(model, name, cache_tokens, self._ends)
        max_positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self._context = min(cache_tokens, max_positions or cache_tokens)
        self._default_top_p = model.generation_config.top_p or 1.0
        special = sorted({*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, special)) or r"(?!)")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenizer")

    async def rewrite_query(self, messages: tuple[Message, ...]) -> str:
        """The last question as a standalone query, written by the model."""
        return await condense(self, messages)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Answer token by token; see `ChatModel`. Of the options, `top_p` and `seed` are followed.

        Raises:
            InvalidInput: the conversation is too long or refused by the model's chat template, or this engine cannot
                follow an option.
            ModelUnavailable: the model has stopped.
            Overloaded: the engine is being replaced.
            torch.OutOfMemoryError: the device is out of memory; the next call starts again.
        """
        sampling = self._sampling(request)
        prompt, sources = await self._run(partial(self._prepare, request))
        text, made = TokenText(self._decode, request.stop), 0
        reason: FinishReason = "length"
        max_tokens = min(request.max_tokens, self._context - len(prompt))
        async with aclosing(self._batch.generate(prompt, max_tokens, sampling)) as tokens:
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

    def _sampling(self, request: ChatRequest) -> dict[str, Any]:
        for name, neutral in _NEUTRAL.items():
            if (value := request.options.get(name)) is not None and value not in neutral:
                raise InvalidInput(f"`{name}` is not supported by the engine that serves this model.", name)
        top_p, seed = request.options.get("top_p"), request.options.get("seed")
        if top_p is not None and (isinstance(top_p, bool) or not isinstance(top_p, int | float) or not 0 < top_p <= 1):
            raise InvalidInput("`top_p` must be a number above 0 and at most 1.", "top_p")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise InvalidInput("`seed` must be a whole number.", "seed")
        return {
            "temperature": float(request.temperature),
            "top_p": float(self._default_top_p if top_p is None else top_p),
            "seed": secrets.randbits(63) if seed is None else seed,
        }

    def _prepare(self, request: ChatRequest) -> tuple[list[int], tuple[Passage, ...]]:
        """The prompt's tokens, and the passages in it."""
        self._batch.ensure_running()
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
        quoted = {
            replace(passage, document=self._defuse(passage.document), text=self._defuse(passage.text)): passage
            for passage in passages
        }
        frame = [Message("system", ""), *(replace(m, content="") for m in request.messages if m.role != "system")]
        spent = len(self._encode(self._template(frame))) + _MARGIN_TOKENS
        budget = self._context - min(request.max_tokens, self._context // 2) - spent
        messages, kept = build_grounded_messages(
            request.messages, tuple(quoted), lambda text: len(self._encode(text)), budget
        )
        return messages, tuple(quoted[passage] for passage in kept)

    def _defuse(self, text: str) -> str:
        """A file's text without special tokens of the model: one that ends a message would let the rest give orders."""
        return self._special.sub(lambda mark: f"{mark[0][:1]} {mark[0][1:]}", text)

    def _template(self, messages: Sequence[Message]) -> str:
        from jinja2 import TemplateError

        turns = [{"role": message.role, "content": message.content, **message.extra} for message in messages]
        try:
            return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
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
