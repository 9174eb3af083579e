"""How the next token is chosen, for each conversation of a batch by its own settings.

Transformers' continuous batching samples all conversations alike, or not at all. This stands in for its list of logits
processors: it adds noise to the logits of those that sample, and leaves those that do not, so that the batch's plain
argmax chooses for both (the Gumbel-max trick, https://arxiv.org/abs/1411.0030). The noise is a function of the
conversation's seed and the token's place: the same seed gives the same answer, whoever else is in the batch.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_LEAST_TEMPERATURE = 1e-3
_LOW_32 = 0xFFFFFFFF


class Sampler:
    """Temperature, nucleus and seed of each conversation; takes the place of a manager's `logit_processor`.

    A request carries `temperature` (below 0.001 the likeliest token is taken), `top_p` and `seed` as its
    `logit_processor_kwargs`.
    """

    tensors_required = 3
    do_processing = True

    def check_kwargs(self, kwargs: dict[str, Any]) -> None:
        """The engine made them, so they are right."""

    def fill_defaults(self, rows: Tensor) -> None:
        """Of a row that nobody uses: temperature 0."""
        rows.zero_()

    def prepare_tensor_args(self, requests_in_batch: Sequence[Any], arg_storage: Tensor) -> None:
        """Write the settings of the conversations whose next token is due.

        Args:
            requests_in_batch: transformers' `FutureRequestState`s.
            arg_storage: int32 (3, tokens): temperature and top_p as the bits of float32, and the noise's key.
        """
        due = [future.state for future in requests_in_batch if future.has_new_token]
        kwargs = [state.logit_processor_kwargs for state in due]
        keys = [_key(state.logit_processor_kwargs["seed"], state.position_offset) for state in due]
        settings = torch.tensor([[one["temperature"] for one in kwargs], [one["top_p"] for one in kwargs]])
        rows = torch.cat([settings.float().view(torch.int32), torch.tensor([keys], dtype=torch.int32)])
        arg_storage[:, : len(due)] = rows.to(arg_storage.device)

    def __call__(self, input_ids: Tensor, scores: Tensor, settings: Tensor) -> Tensor:
        """Logits whose argmax is the next token.

        Args:
            input_ids: int32 (N,), the last tokens; not looked at.
            scores: float32 (N, vocabulary).
            settings: int32 (3, at least N), as `prepare_tensor_args` wrote them.
        """
        rows = scores.size(0)
        temperature, top_p = (settings[i, :rows].view(torch.float32).unsqueeze(-1) for i in (0, 1))
        key = settings[2, :rows].unsqueeze(-1)
        if scores.is_cuda:  # looking which rows sample would wait for the device
            return sample(scores, temperature, top_p, key)
        due = (temperature[:, 0] >= _LEAST_TEMPERATURE).nonzero()[:, 0]
        if due.numel():
            scores[due] = sample(scores[due], temperature[due], top_p[due], key[due])
        return scores


def sample(scores: Tensor, temperature: Tensor, top_p: Tensor, key: Tensor) -> Tensor:
    """Logits (N, vocabulary) with noise where the temperature (N, 1) asks for it; `top_p` and `key` are (N, 1) too."""
    is_sampled = temperature >= _LEAST_TEMPERATURE
    likely = nucleus(scores / torch.where(is_sampled, temperature, 1.0), top_p)
    return torch.where(is_sampled, likely + _gumbel(key, scores.size(1)), scores)


def nucleus(scores: Tensor, top_p: Tensor) -> Tensor:
    """Logits (N, vocabulary) of the likeliest tokens that have `top_p` (N, 1) of the probability together."""
    ascending, order = scores.sort(dim=-1)
    is_rare = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
    is_rare[:, -1] = False
    return scores.masked_fill(is_rare.scatter(-1, order, is_rare), float("-inf"))


def _key(seed: int, position: int) -> int:
    digest = hashlib.blake2b(f"{seed}:{position}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big", signed=True)


def _gumbel(key: Tensor, size: int) -> Tensor:
    """Standard Gumbel noise, float32 (N, size), by hashing the index with the key (MurmurHash3's finaliser)."""
    mixed = (torch.arange(size, device=key.device) * 0x9E3779B1 + key.long()) & _LOW_32
    mixed = ((mixed ^ (mixed >> 16)) * 0x85EBCA6B) & _LOW_32
    mixed = ((mixed ^ (mixed >> 13)) * 0xC2B2AE35) & _LOW_32
    mixed ^= mixed >> 16
    uniform = ((mixed >> 9).float() + 0.5) / 2**23  # float32 holds these exactly, so none becomes 0 or 1
    return -torch.log(-torch.log(uniform))
