"""What every engine's configuration states: how it is chosen, what it answers with, what it needs, how it loads."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.weights import Weights

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to unit vectors, float32 (N, dimension). Blocks; called from the engine's own thread."""


def no_embedder(_: Sequence[str]) -> NDArray[np.float32]:
    """The `Embed` of a process that has no knowledge base."""
    raise ModelUnavailable("This engine compares texts by their embeddings, and no embedding model is available here.")


@dataclass(frozen=True)
class Resources:
    """What the process that loads an engine provides.

    Attributes:
        embed: sentence embeddings.
        data_dir: the folder of everything that the installation keeps; `None` if it keeps nothing.
    """

    embed: Embed = no_embedder
    data_dir: Path | None = None


class ModelCard(BaseModel):
    """What answers, as `/v1/models` reports it.

    Attributes:
        model: the checkpoint (hub id or file name), or the algorithm's name.
        license: SPDX name of the model's license (of the algorithm's library if there is no model).
        description: one honest sentence: what it does and what it does not do.
        embedded: runs without any download.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    license: str
    description: str
    embedded: bool = False


class EngineConfig(BaseModel, ABC):
    """A capability's `user_config`: flat, chosen by `engine`, without unknown keys.

    Importing a configuration's module imports no model library: `load()` does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    engine: str

    def weights(self) -> tuple[Weights, ...]:
        """What `make pull` fetches for this configuration; an embedded engine needs nothing."""
        return ()

    @abstractmethod
    def card(self) -> ModelCard:
        """What this configuration answers with."""

    @abstractmethod
    def load(self, resources: Resources) -> Any:
        """Load the engine that the capability's `base.py` describes. Blocks, for minutes if the model is large.

        Raises:
            ModelUnavailable: weights, a library or the device are missing, damaged or of another kind.
        """
