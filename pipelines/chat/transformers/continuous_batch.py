"""One language model and the conversations that share each of its steps: transformers' continuous batching.

The model runs in its own thread, its keys and values in a paged cache (https://arxiv.org/abs/2309.06180). When a
step fails, the thread ends and every conversation in the batch with it; the next call starts it again.

What transformers does not document is used in this module alone:
- `ContinuousBatchingManager.logit_processor` is replaced by `Sampler`, which has the methods of transformers' own
  `ContinuousBatchingLogitsProcessorList`;
- `FutureRequestState.has_new_token`, and of its `state` `logit_processor_kwargs` and `position_offset`, are read by it;
- `ContinuousBatchingManager.output_router.result_handlers` loses the handler of a caller who leaves;
- `ContinuousBatchingManager.background_thread_status.fatal_error` says why the thread ended.
"""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from uuid import uuid4

import torch
from torch import Tensor
from transformers import ContinuousBatchingConfig, GenerationConfig

from pipelines.chat.transformers.sampling import MIN_TEMPERATURE, noise_key, sample
from pipelines.contracts.errors import ModelUnavailable, Overloaded

MAX_CONVERSATIONS = 64
MAX_LINGER_S = 30
MAX_STOP_S = 10
_PAGE_TOKENS = 256
_STEP_TOKENS = {"cuda": 1024, "cpu": 256}  # long prompts are read in steps of this size, so that other answers go on


class Sampler:
    """Temperature, nucleus and seed of each conversation; takes the place of a manager's `logit_processor`.

    A request carries `temperature` (below 0.001 the likeliest token is taken), `top_p` and `seed` as its
    `logit_processor_kwargs`.
    """

    tensors_required = 3
    do_processing = True

    def check_kwargs(self, kwargs: dict[str, Any]) -> None:
        """Accept all: the engine has checked them."""

    def fill_defaults(self, rows: Tensor) -> None:
        """Set unused rows to temperature 0."""
        rows.zero_()

    def prepare_tensor_args(self, requests_in_batch: Sequence[Any], arg_storage: Tensor) -> None:
        """Write the settings of the conversations whose next token is due.

        Args:
            requests_in_batch: transformers' `FutureRequestState`s.
            arg_storage: int32 (3, tokens): temperature and top_p as the bits of float32, and the noise's key.
        """
        due = [future.state for future in requests_in_batch if future.has_new_token]
        kwargs = [state.logit_processor_kwargs for state in due]
        keys = [noise_key(state.logit_processor_kwargs["seed"], state.position_offset) for state in due]
        settings = torch.tensor([[one["temperature"] for one in kwargs], [one["top_p"] for one in kwargs]])
        rows = torch.cat([settings.float().view(torch.int32), torch.tensor([keys], dtype=torch.int32)])
        arg_storage[:, : len(due)] = rows.to(arg_storage.device)

    def __call__(self, input_ids: Tensor, scores: Tensor, settings: Tensor) -> Tensor:
        """Logits whose argmax is the next token.

        Args:
            input_ids: int32 (N,), the last tokens; unused.
            scores: float32 (N, vocabulary).
            settings: int32 (3, at least N), as `prepare_tensor_args` wrote them.
        """
        rows = scores.size(0)
        temperature, top_p = (settings[i, :rows].view(torch.float32).unsqueeze(-1) for i in (0, 1))
        key = settings[2, :rows].unsqueeze(-1)
        if scores.is_cuda:  # selecting the rows that sample would wait for the device
            return sample(scores, temperature, top_p, key)
        due = (temperature[:, 0] >= MIN_TEMPERATURE).nonzero()[:, 0]
        if due.numel():
            scores[due] = sample(scores[due], temperature[due], top_p[due], key[due])
        return scores


class ContinuousBatch:
    """A running model. `generate` belongs on one event loop, the rest on any thread.

    Args:
        model: a causal language model of transformers, on its device.
        name: the model's name in error messages.
        cache_tokens: size of the cache, shared by all conversations.
        end_tokens: each ends an answer.
    """

    def __init__(self, model: Any, name: str, cache_tokens: int, end_tokens: tuple[int, ...]) -> None:
        self._model = model
        self._name = name
        self._cache_tokens = cache_tokens
        self._end_tokens = end_tokens
        self._answering: set[str] = set()
        self._is_closed = False
        self._start()

    def ensure_running(self) -> None:
        """Start again if a step failed. Blocks; not to be called concurrently.

        Raises:
            Overloaded: the batch is closed.
            ModelUnavailable: the cache has no room.
        """
        if self._is_closed:
            raise Overloaded(f"{self._name} is being replaced; send the request again.", 1)
        if not self._manager.is_running():
            self._stop()
            del self._manager
            gc.collect()  # frees its cache before the next one is allocated
            self._start()

    async def generate(self, prompt: list[int], max_tokens: int, sampling: dict[str, Any]) -> AsyncGenerator[int, None]:
        """Tokens as they are made, the end token included; closing it takes the conversation out of the batch.

        Args:
            prompt: tokens, at least one; together with `max_tokens` at most `cache_tokens`.
            max_tokens: maximum number of new tokens, at least one.
            sampling: see `Sampler`.

        Raises:
            ModelUnavailable: a step failed.
            torch.OutOfMemoryError: a step failed because the device is out of memory.
        """
        manager, request_id = self._manager, uuid4().hex
        outputs: asyncio.Queue[Any] = asyncio.Queue()
        manager.register_result_handler(request_id, outputs.put_nowait)
        self._answering.add(request_id)
        sent, is_finished = 0, False
        try:
            if manager.add_request(prompt, request_id, max_tokens, streaming=True, **sampling) is None:
                raise await self._failure(manager)
            while not is_finished:
                output = await outputs.get()
                if output.error is not None:
                    raise await self._failure(manager)
                is_finished = output.is_finished()
                for token in output.generated_tokens[sent:]:
                    sent += 1
                    yield token
        finally:
            self._answering.discard(request_id)
            if not is_finished:
                manager.cancel_request(request_id)
                manager.output_router.result_handlers.pop(request_id, None)
            while manager.get_result(timeout=0) is not None:
                pass  # results for callers who had already left

    def close(self) -> None:
        """Refuse new conversations, wait at most half a minute for those under way, then stop. Blocks."""
        self._is_closed = True
        deadline_s = time.monotonic() + MAX_LINGER_S
        while self._answering and time.monotonic() < deadline_s:
            time.sleep(0.05)
        self._stop()

    def _start(self) -> None:
        """Allocate the cache and start the thread."""
        settings = ContinuousBatchingConfig(
            page_size=_PAGE_TOKENS,
            num_blocks=self._cache_tokens // _PAGE_TOKENS,
            max_batch_tokens=_STEP_TOKENS[self._model.device.type],
            max_requests_per_batch=MAX_CONVERSATIONS,
            auto_switch_to_flash=False,  # it could fetch kernels from the hub
        )
        generation = GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False, eos_token_id=list(self._end_tokens) or -1
        )
        manager = self._model.init_continuous_batching(generation, settings)
        manager.logit_processor = Sampler()
        try:
            manager.warmup()
        except MemoryError as error:
            raise ModelUnavailable(
                f"Not enough memory for the cache of {self._name}: set `cache_tokens` below {self._cache_tokens}."
            ) from error
        # A thread inherits the daemon flag from its starter; without it an engine never closed would block the exit.
        starter = threading.Thread(target=manager.start, daemon=True)
        starter.start()
        starter.join()
        self._manager = manager
        self._stop = weakref.finalize(self, _stop, manager)

    async def _failure(self, manager: Any) -> Exception:
        """Why the thread ended; conversations learn that it ends before it records why."""
        await asyncio.to_thread(_wait_for_end, manager)
        error = manager.background_thread_status.fatal_error
        if isinstance(error, torch.OutOfMemoryError):
            return error.with_traceback(None)  # its frames hold the tensors that had no room
        failure = ModelUnavailable(f"{self._name} stopped while it was answering; the next call starts it again.")
        failure.__cause__ = error
        return failure


def _stop(manager: Any) -> None:
    manager.stop(timeout=MAX_STOP_S, hard_stop=True)


def _wait_for_end(manager: Any) -> None:
    deadline_s = time.monotonic() + MAX_STOP_S
    while manager.is_running() and time.monotonic() < deadline_s:
        time.sleep(0.01)
