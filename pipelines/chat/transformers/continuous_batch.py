"""One language model and the conversations that share each of its steps: transformers' continuous batching.

The model runs in a thread of its own, its keys and values in a paged cache (https://arxiv.org/abs/2309.06180). When a
step fails, the thread ends and every conversation in the batch with it; the next one starts it anew.
"""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

from pipelines.contracts.errors import ModelUnavailable, Overloaded

_PAGE_TOKENS = 256
_MOST_AT_ONCE = 64
_STEP_TOKENS = {"cuda": 1024, "cpu": 256}  # a long prompt is read in steps of this, so that others' answers go on
_LINGER_S = 30
_STOP_S = 10


class ContinuousBatch:
    """A running model. `generate` belongs on one event loop, the rest on any thread.

    Args:
        model: a causal language model of transformers, on its device.
        name: what messages call it.
        cache_tokens: kept of all conversations together.
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
        """Start anew if a step failed. Blocks; never called twice at a time.

        Raises:
            Overloaded: closed.
            ModelUnavailable: the cache has no room.
        """
        if self._is_closed:
            raise Overloaded(f"{self._name} is being exchanged; send it again.", 1)
        if not self._manager.is_running():
            self._stop()
            del self._manager
            gc.collect()  # its cache goes before another is made
            self._start()

    async def generate(self, prompt: list[int], most: int, sampling: dict[str, Any]) -> AsyncGenerator[int, None]:
        """Tokens as they are made, the end token included; closing it takes the conversation out of the batch.

        Args:
            prompt: tokens, at least one; with `most` no more than `cache_tokens`.
            most: tokens to be made, at least one.
            sampling: see `pipelines.chat.transformers.sampling.Sampler`.

        Raises:
            ModelUnavailable: a step failed.
            torch.OutOfMemoryError: because the device has no memory left.
        """
        manager, request_id = self._manager, uuid4().hex
        outputs: asyncio.Queue[Any] = asyncio.Queue()
        manager.register_result_handler(request_id, outputs.put_nowait)
        self._answering.add(request_id)
        told, is_finished = 0, False
        try:
            if manager.add_request(prompt, request_id, most, streaming=True, **sampling) is None:
                raise await self._failure(manager)
            while not is_finished:
                output = await outputs.get()
                if output.error is not None:
                    raise await self._failure(manager)
                is_finished = output.is_finished()
                for token in output.generated_tokens[told:]:
                    told += 1
                    yield token
        finally:
            self._answering.discard(request_id)
            if not is_finished:
                manager.cancel_request(request_id)
                manager.output_router.result_handlers.pop(request_id, None)
            while manager.get_result(timeout=0) is not None:
                pass  # what was made for callers who had left already

    def close(self) -> None:
        """Take no more, let answers under way come to their end for half a minute at most, then stop. Blocks."""
        self._is_closed = True
        deadline_s = time.monotonic() + _LINGER_S
        while self._answering and time.monotonic() < deadline_s:
            time.sleep(0.05)
        self._stop()

    def _start(self) -> None:
        """Make the cache and start the thread."""
        from transformers import ContinuousBatchingConfig, GenerationConfig

        from pipelines.chat.transformers.sampling import Sampler

        settings = ContinuousBatchingConfig(
            page_size=_PAGE_TOKENS,
            num_blocks=self._cache_tokens // _PAGE_TOKENS,
            max_batch_tokens=_STEP_TOKENS[self._model.device.type],
            max_requests_per_batch=_MOST_AT_ONCE,
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
                f"There is no memory for the cache of {self._name}: set `cache_tokens` below {self._cache_tokens}."
            ) from error
        # A thread inherits being a daemon from the one that starts it: a forgotten engine must not hold up the exit.
        starter = threading.Thread(target=manager.start, daemon=True)
        starter.start()
        starter.join()
        self._manager = manager
        self._stop = weakref.finalize(self, _stop, manager)

    async def _failure(self, manager: Any) -> Exception:
        """Why the thread ended; the conversations learn that it does before it tells why."""
        import torch

        await asyncio.to_thread(_wait_for_end, manager)
        error = manager.background_thread_status.fatal_error
        if isinstance(error, torch.OutOfMemoryError):
            return error.with_traceback(None)  # its frames hold the tensors that had no room
        failure = ModelUnavailable(f"{self._name} stopped while it was answering; the next call starts it anew.")
        failure.__cause__ = error
        return failure


def _stop(manager: Any) -> None:
    status = manager.background_thread_status
    status.request_stop(status.HARD_STOP, manager.distributed_helper.global_rank)
    _wait_for_end(manager)


def _wait_for_end(manager: Any) -> None:
    deadline_s = time.monotonic() + _STOP_S
    while manager.is_running() and time.monotonic() < deadline_s:
        time.sleep(0.01)
