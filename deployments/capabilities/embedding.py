"""Embeddings for engines of other capabilities: the model lives in `Knowledge` alone, who needs a vector calls it."""

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.client.errors import from_ray
from deployments.client.handles import Handle
from pipelines.contracts.engine import Embed

AT_ONCE = 256
"""Texts of one call: a long list must not keep the embedding model from its other callers."""


def embed_through(knowledge: Handle) -> Embed:
    """A blocking `Embed` for an engine's thread; made on the event loop that the calls shall run on."""
    loop = asyncio.get_running_loop()

    async def ask(texts: Sequence[str]) -> NDArray[np.float32]:
        try:
            parts = [await knowledge.embed.remote(texts[i : i + AT_ONCE]) for i in range(0, len(texts), AT_ONCE)]
        except Exception as error:
            raise from_ray(error) from error
        return np.concatenate(parts)

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return asyncio.run_coroutine_threadsafe(ask(list(texts)), loop).result()

    return embed
