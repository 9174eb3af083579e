"""One language model and the conversations that share each of its steps: continuous batching, in a thread of its own.

A conversation's prompt is read alone, in pieces, so that other answers go on meanwhile; then it becomes a row of the
batch. All rows lie in one cache of keys and values, the shorter ones padded on the left, so that a step costs what its
longest row costs, times the rows: meant for a small model and a few callers. Only transformers' `forward`, its cache
and its attention mask are used. When a step fails, all conversations in the batch fail with it, and no later ones.
"""

import asyncio
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache, TopPLogitsWarper

from pipelines.contracts.errors import ModelUnavailable, Overloaded

MAX_LINGER_S = 30
MIN_TEMPERATURE = 1e-3
STEP_TOKENS = 256  # of prompts, read in one step


class Sampler:
    """Chooses one conversation's next token; the same seed chooses the same, whatever else is in the batch.

    Args:
        temperature: below 0.001 the likeliest token is taken.
        top_p: of the probability that the likeliest tokens make up, the others are left out.
        seed: of the random numbers.
    """

    def __init__(self, temperature: float, top_p: float, seed: int) -> None:
        self._temperature = temperature
        self._nucleus = TopPLogitsWarper(top_p)
        self._random = torch.Generator().manual_seed(seed % 2**63)

    def __call__(self, logits: Tensor) -> int:
        """The token for logits (vocabulary,)."""
        if self._temperature < MIN_TEMPERATURE:
            return int(logits.argmax())
        scores = self._nucleus(None, logits[None].float().cpu() / self._temperature)
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._random))


@dataclass(eq=False)
class _Conversation:
    """One answer in the making. Whoever sets `is_over` ends it."""

    prompt: list[int]
    max_tokens: int
    choose: Sampler
    loop: asyncio.AbstractEventLoop
    tokens: "asyncio.Queue[int | Exception]" = field(default_factory=asyncio.Queue)
    cache: Any = field(default_factory=DynamicCache)
    read: int = 0
    made: int = 0
    last: int = 0
    is_over: bool = False

    @property
    def size(self) -> int:
        """Tokens that it has at its end."""
        return len(self.prompt) + self.max_tokens

    def publish(self, item: int | Exception) -> None:
        """Give the caller a token, or the error that ends the answer."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self.loop.call_soon_threadsafe(self.tokens.put_nowait, item)


class _Steps:
    """The batch as its thread sees it.

    Attributes:
        waiting: conversations whose prompt is not read, the oldest first.
        rows: conversations of which each step makes a token, in the order of the cache's rows.
    """

    def __init__(self, model: Any, cache_tokens: int, end_tokens: tuple[int, ...]) -> None:
        self.waiting: deque[_Conversation] = deque()
        self.rows: list[_Conversation] = []
        self._model = model
        self._cache_tokens = cache_tokens
        self._end_tokens = end_tokens
        self._cache: Any = DynamicCache()
        self._mask = torch.empty(0, 0, dtype=torch.long)

    def step(self) -> None:
        """Read some of the prompts that wait, then make a token for each row."""
        self._read()
        self._drop()
        if self.rows:
            self._decode()
            self._drop()

    def fail(self, error: Exception) -> None:
        """End all conversations, and free the cache."""
        for conversation in (*self.rows, *self.waiting):
            conversation.publish(error.with_traceback(None))  # its frames hold tensors
        self.waiting.clear()
        self.rows, self._cache = [], DynamicCache()

    def _read(self) -> None:
        budget = STEP_TOKENS
        while budget > 0 and self.waiting and self._has_room(self.waiting[0]):
            conversation = self.waiting[0]
            if conversation.is_over:
                self.waiting.popleft()
                continue
            piece = conversation.prompt[conversation.read :][:budget]
            logits = self._forward([piece], conversation.cache, logits_to_keep=1)
            conversation.read += len(piece)
            budget -= len(piece)
            if conversation.read == len(conversation.prompt):
                self._take(conversation, logits[0])
                self._join(self.waiting.popleft())

    def _has_room(self, conversation: _Conversation) -> bool:
        longest = max(each.size for each in (*self.rows, conversation))
        return not self.rows or longest * (len(self.rows) + 1) <= self._cache_tokens

    def _decode(self) -> None:
        self._mask = pad(self._mask, (0, 1), value=1)
        positions = self._mask.sum(-1, keepdim=True) - 1
        last = [[row.last] for row in self.rows]
        logits = self._forward(last, self._cache, attention_mask=self._mask, position_ids=positions)
        for row, scores in zip(self.rows, logits, strict=True):
            self._take(row, scores)

    def _forward(self, tokens: list[list[int]], cache: Any, **options: Any) -> Tensor:
        """Logits (N, vocabulary) after the last of tokens (N, length)."""
        ids = torch.tensor(tokens, device=self._model.device)
        logits: Tensor = self._model(input_ids=ids, past_key_values=cache, use_cache=True, **options).logits[:, -1]
        return logits

    def _take(self, conversation: _Conversation, logits: Tensor) -> None:
        conversation.last = conversation.choose(logits)
        conversation.made += 1
        conversation.is_over |= conversation.last in self._end_tokens or conversation.made == conversation.max_tokens
        conversation.publish(conversation.last)

    def _join(self, conversation: _Conversation) -> None:
        """Put a conversation that was read below the other rows."""
        cache, conversation.cache = conversation.cache, DynamicCache()
        size = len(conversation.prompt)
        mask = torch.ones(1, size, dtype=torch.long, device=self._model.device)
        if self.rows:
            length = max(size, self._mask.size(1))
            self._cache = _joined(self._cache, cache, length)
            mask = torch.cat([pad(each, (length - each.size(1), 0)) for each in (self._mask, mask)])
        else:
            self._cache = cache
        self._mask = mask
        self.rows.append(conversation)

    def _drop(self) -> None:
        """Take out the rows that are over, and the padding that only they needed."""
        kept = [number for number, row in enumerate(self.rows) if not row.is_over]
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[number] for number in kept]
        self._mask = self._mask[kept]
        start = int(self._mask.any(0).int().argmax()) if kept else 0
        self._mask = self._mask[:, start:]
        self._cache = DynamicCache(
            [(layer.keys[kept, :, start:], layer.values[kept, :, start:]) for layer in self._cache.layers]
        )


class Batch:
    """A running model. `generate` belongs on one event loop, `close` on any thread.

    Args:
        model: a causal language model of transformers, on its device.
        name: the model's name in error messages.
        cache_tokens: what the rows of the batch, padded to the longest, may come to; others wait.
        end_tokens: each ends an answer.
    """

    def __init__(self, model: Any, name: str, cache_tokens: int, end_tokens: tuple[int, ...]) -> None:
        self._name = name
        self._end_tokens = end_tokens
        self._inbox: queue.SimpleQueue[_Conversation | None] = queue.SimpleQueue()
        self._answering = 0
        self._is_closed = False
        self._steps = _Steps(model, cache_tokens, end_tokens)
        # A daemon: an engine that is never closed does not block the exit.
        self._thread = threading.Thread(target=_run, args=(self._steps, self._inbox), name="batch", daemon=True)
        self._thread.start()
        weakref.finalize(self, self._inbox.put, None)

    async def generate(self, prompt: list[int], max_tokens: int, choose: Sampler) -> AsyncGenerator[int, None]:
        """Tokens as they are made, the end token included; closing it takes the conversation out of the batch.

        Args:
            prompt: tokens, at least one; together with `max_tokens` at most `cache_tokens`.
            max_tokens: maximum number of new tokens, at least one.
            choose: chooses each token.

        Raises:
            Overloaded: the batch is closed, or the device is out of memory.
            ModelUnavailable: a step failed.
        """
        if self._is_closed:
            raise Overloaded(f"{self._name} is being replaced; send the request again.", 1)
        conversation = _Conversation(prompt, max_tokens, choose, asyncio.get_running_loop())
        self._answering += 1
        self._inbox.put(conversation)
        try:
            for _ in range(max_tokens):
                token = await conversation.tokens.get()
                if isinstance(token, Exception):
                    raise self._failure(token)
                yield token
                if token in self._end_tokens:
                    break
        finally:
            conversation.is_over = True
            self._answering -= 1

    def close(self) -> None:
        """Refuse new conversations, wait at most half a minute for those under way, then stop. Blocks."""
        self._is_closed = True
        deadline_s = time.monotonic() + MAX_LINGER_S
        while self._answering and time.monotonic() < deadline_s:
            time.sleep(0.05)
        self._inbox.put(None)
        self._thread.join()

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, torch.OutOfMemoryError):
            return Overloaded("There is not enough GPU memory for this answer.", 30)
        failure = ModelUnavailable(f"{self._name} failed while it was answering; send the request again.")
        failure.__cause__ = error
        return failure


def _run(steps: _Steps, inbox: "queue.SimpleQueue[_Conversation | None]") -> None:
    """The thread: step after step while there is something to do, asleep otherwise."""
    with torch.inference_mode():
        while True:
            is_idle = not (steps.rows or steps.waiting)
            while is_idle or not inbox.empty():
                arrived = inbox.get()
                if arrived is None:
                    return
                steps.waiting.append(arrived)
                is_idle = False
            try:
                steps.step()
            except Exception as error:  # noqa: BLE001  its conversations get it
                steps.fail(error)


def _joined(upper: Any, lower: Any, length: int) -> DynamicCache:
    """Two batches' keys and values as one, each padded on the left to `length` tokens."""

    def join(*states: Tensor) -> Tensor:
        return torch.cat([pad(each, (0, 0, length - each.size(2), 0)) for each in states])

    pairs = zip(upper.layers, lower.layers, strict=True)
    return DynamicCache([(join(one.keys, two.keys), join(one.values, two.values)) for one, two in pairs])
