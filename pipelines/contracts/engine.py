"""What is common to the configuration of every engine."""

from abc import abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pipelines.loading.weights import Weights

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to unit vectors, float32 (N, dimension). Blocks; called from the engine's own thread."""


class ModelCard(BaseModel):
    """What answers, told to people in `/v1/models`.

    Attributes:
        model: the checkpoint (hub id or file name), or the algorithm's name.
        licence: SPDX name of the model's licence (of the algorithm's library where there is no model).
        description: one honest sentence: what it does and what it does not.
        embedded: runs without any download.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    licence: str
    description: str
    embedded: bool = False


class EngineConfig(BaseModel):
    """A capability's `user_config`: flat, `engine` chooses, unknown keys are refused.

    A subclass adds its keys, `card()` and `load()`. Importing the module of a configuration imports no model library:
    those are imported inside `load()`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    engine: str

    def weights(self) -> tuple[Weights, ...]:
        """What `make pull` fetches for this configuration; an embedded engine needs nothing."""
        return ()

    @abstractmethod
    def card(self) -> ModelCard:
        """What this configuration answers with."""
