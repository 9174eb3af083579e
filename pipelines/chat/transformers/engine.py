"""Chat by a language model, run here by transformers with continuous batching and paged attention.

Any checkpoint of a decoder-only architecture that transformers knows, with a chat template and safetensors weights;
by default Qwen2.5-7B-Instruct (Apache-2.0, https://arxiv.org/abs/2412.15115), on a CPU rather Qwen2.5-0.5B-Instruct
(Apache-2.0). Many conversations share each step of the model; one that is closed leaves the batch at the next step.
Does not call tools or follow a JSON schema: the `openai` engine passes those on to a server that does.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field

from pipelines.chat.base import ChatModel, ChatRequest, Delta, FinishReason, Message, Usage
from pipelines.chat.extractive.followup import stand_alone
from pipelines.chat.grounding import build_grounded_messages
from pipelines.chat.transformers.continuous_batch import ContinuousBatch
from pipelines.chat.transformers.token_text import TokenText
from pipelines.contracts.engine import Embed, EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.knowledge.base import Passage
from pipelines.loading.device import DeviceName, DtypeName, select_device
from pipelines.loading.weights import Weights, is_path, locate

T = TypeVar("T")

_FILES = ("model*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
_LICENSES = {"Qwen/Qwen2.5-7B-Instruct": "Apache-2.0", "Qwen/Qwen2.5-0.5B-Instruct": "Apache-2.0"}
_MARGIN_TOKENS = 16  # texts counted one by one can come to a little less than all of them together
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
"""Options that would change the answer and are not done here, with the values that ask for nothing."""


class TransformersConfig(EngineConfig):
    """A language model on this machine's GPU or CPU."""

    engine: Literal["transformers"] = "transformers"
    model: str = Field(
        "Qwen/Qwen2.5-7B-Instruct", description="Hub id or local folder of an instruction-tuned language model."
    )
    revision: str = Field("main", description="Commit, tag or branch on the hub.")
    device: DeviceName = Field("auto", description="Where it runs.")
    dtype: DtypeName = Field("auto", description="Number format of weights and activations.")
    cache_tokens: int = Field(
        32_768,
        ge=1024,
        description="Tokens of all conversations together that the device keeps, and the most that one of them may "
        "have where the model itself could read more. A token takes 57 kB with the 7B model (bfloat16), 25 kB with the "
        "0.5B one (float32).",
    )

    @property
    def name(self) -> str:
        """What the model is called: its hub id, or its folder's name."""
        return Path(self.model).name if is_path(self.model) else self.model

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=self.name,
            license=_LICENSES.get(self.model, "see the model's page"),
            description="A language model: converses freely, and answers from your documents where a category is "
            "named. It can be wrong. Calls no tools.",
        )

    def weights(self) -> tuple[Weights, ...]:
        """The checkpoint and its tokenizer."""
        return (Weights(self.model, self.revision, _FILES),)

    def load(self, resources: Resources) -> "TransformersChat":
        """Load the model and start generating.

        Args:
            embed: sentence embeddings, for questions that lean on earlier ones; blocks.

        Raises:
            ModelUnavailable: the weights are missing, damaged or not of a kind that chats, or the cache has no room.
        """
        return TransformersChat.load(self, resources.embed)


class TransformersChat(ChatModel):
    """One loaded language model. Tokens are the model's own.

    Args:
        model: a causal language model of transformers, on its device.
        tokenizer: with a chat template.
        name: what messages call the model.
        cache_tokens: of all conversations together.
        embed: sentence embeddings; blocks.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, cache_tokens: int, embed: Embed) -> None:
        self._tokenizer = tokenizer
        self._name = name
        self._embed = embed
        self._ends = _end_tokens(model, tokenizer)
        self._batch = ContinuousBatch(model, name, cache_tokens, self._ends)
        longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self._context = min(cache_tokens, longest or cache_tokens)
        self._default_top_p = model.generation_config.top_p or 1.0
        special = sorted({*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, special)) or r"(?!)")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenizer")

    @classmethod
    def load(cls, config: TransformersConfig, embed: Embed) -> Self:
        """Read the weights; nothing is fetched and no code of a repository is run."""
        import torch
        from huggingface_hub.errors import StrictDataclassError
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer

        weights = config.weights()[0]
        folder = locate(weights)
        placement = select_device(config.device, config.dtype)
        damaged = ModelUnavailable(
            f"The weights of {config.name} cannot be read: files are missing or damaged, or it is no language model "
            "that transformers knows. Fetch them again with `make pull`, or choose another model."
        )
        if not any((folder / name).is_file() for name in _TOKENIZERS):
            raise damaged  # transformers would make an empty one
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=placement.dtype,
                device_map={"": placement.device},
                attn_implementation=_attention(placement.device),
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
        except torch.OutOfMemoryError:
            raise
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, StrictDataclassError) as error:
            raise damaged from error
        model, report = loaded
        if report["missing_keys"] or report["mismatched_keys"]:
            raise damaged
        if not tokenizer.chat_template:
            raise ModelUnavailable(f"{config.name} has no chat template: choose an instruction-tuned model.")
        return cls(model, tokenizer, config.name, config.cache_tokens, embed)

    async def rewrite_query(self, messages: tuple[Message, ...]) -> str:
        """The last question as a query that stands alone, by rules."""
        return await asyncio.to_thread(stand_alone, messages, self._embed)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Answer token by token; see `ChatModel`. Of the options, `top_p` and `seed` are followed.

        Raises:
            InvalidInput: a conversation too long or not taken by the model's chat template, or an option that this
                engine cannot follow.
            ModelUnavailable: the model has stopped.
            Overloaded: the engine is being exchanged.
            torch.OutOfMemoryError: the device has no memory left; the next call starts anew.
        """
        sampling = self._sampling(request)
        prompt, sources = await self._run(partial(self._prepare, request))
        text, made = TokenText(self._decode, request.stop), 0
        reason: FinishReason = "length"
        most = min(request.max_tokens, self._context - len(prompt))
        async with aclosing(self._batch.generate(prompt, most, sampling)) as tokens:
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
        """Let answers under way come to their end, for half a minute at most, then stop generating. Blocks."""
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
            raise self._too_long(len(prompt))
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
        try:
            messages, kept = build_grounded_messages(
                request.messages, tuple(quoted), lambda text: len(self._encode(text)), budget
            )
        except InvalidInput as error:
            raise self._too_long(sum(len(self._encode(m.content)) for m in request.messages) + spent) from error
        return messages, tuple(quoted[passage] for passage in kept)

    def _defuse(self, text: str) -> str:
        """Text of a file without the model's own marks: one that ends a message would let what follows give orders."""
        return self._special.sub(lambda mark: f"{mark[0][:1]} {mark[0][1:]}", text)

    def _template(self, messages: Sequence[Message]) -> str:
        from jinja2 import TemplateError

        turns = [{"role": message.role, "content": message.content, **message.extra} for message in messages]
        try:
            return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        except (TemplateError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"{self._name} does not take this conversation: its chat template refuses a role, the order of roles, "
                "or a message's further keys.",
                "messages",
            ) from error

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _too_long(self, tokens: int) -> InvalidInput:
        return InvalidInput(
            f"The conversation is {tokens} tokens long; {self._name} reads {self._context} here, its answer included. "
            "Send fewer or shorter messages.",
            "messages",
        )

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _attention(device: Any) -> str:
    """Flash attention where its package is installed: it needs no mask, which lets CUDA graphs pay off."""
    from transformers.utils.import_utils import is_flash_attn_2_available

    return "flash_attention_2" if device.type == "cuda" and is_flash_attn_2_available() else "sdpa"


def _end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    found = model.generation_config.eos_token_id
    ends = found if isinstance(found, list) else [found]
    return tuple(sorted({token for token in [*ends, tokenizer.eos_token_id] if token is not None}))
