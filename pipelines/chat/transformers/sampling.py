"""Sampling of the next token, for each conversation of a batch by its own settings.

Transformers' continuous batching samples all conversations by the same settings, or none. Here noise is added to the
logits of the conversations that sample, so that the batch's plain argmax chooses for all of them (the Gumbel-max trick,
https://arxiv.org/abs/1411.0030). The noise is a function of the conversation's seed and the token's position: the same
seed gives the same answer, whatever else is in the batch.
"""

import hashlib

import torch
from torch import Tensor

MIN_TEMPERATURE = 1e-3
_LOW_32 = 0xFFFFFFFF


def sample(scores: Tensor, temperature: Tensor, top_p: Tensor, key: Tensor) -> Tensor:
    """Logits (N, vocabulary) with noise in the rows whose temperature (N, 1) is not 0; `top_p`, `key`: (N, 1)."""
    is_sampled = temperature >= MIN_TEMPERATURE
    likely = nucleus(scores / torch.where(is_sampled, temperature, 1.0), top_p)
    return torch.where(is_sampled, likely + _gumbel(key, scores.size(1)), scores)


def nucleus(scores: Tensor, top_p: Tensor) -> Tensor:
    """Logits (N, vocabulary) of the likeliest tokens that make up `top_p` (N, 1) of the probability; the rest -inf."""
    ascending, order = scores.sort(dim=-1)
    is_rare = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
    is_rare[:, -1] = False
    return scores.masked_fill(is_rare.scatter(-1, order, is_rare), float("-inf"))


def noise_key(seed: int, position: int) -> int:
    """The noise of one token as a signed 32-bit key."""
    digest = hashlib.blake2b(f"{seed}:{position}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big", signed=True)


def _gumbel(key: Tensor, size: int) -> Tensor:
    """Standard Gumbel noise, float32 (N, size), by hashing the index with the key (MurmurHash3's finalizer)."""
    mixed = (torch.arange(size, device=key.device) * 0x9E3779B1 + key.long()) & _LOW_32
    mixed = ((mixed ^ (mixed >> 16)) * 0x85EBCA6B) & _LOW_32
    mixed = ((mixed ^ (mixed >> 13)) * 0xC2B2AE35) & _LOW_32
    mixed ^= mixed >> 16
    uniform = ((mixed >> 9).float() + 0.5) / 2**23  # float32 holds these exactly, so none becomes 0 or 1
    return -torch.log(-torch.log(uniform))
