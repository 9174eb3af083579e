from collections.abc import Callable

import pytest

from pipelines.chat.extractive.engine import Extractive, ExtractiveConfig
from pipelines.contracts.engine import Resources
from pipelines.knowledge import MiniLmConfig


@pytest.fixture(scope="session")
def embedder():
    return MiniLmConfig().load(Resources())


@pytest.fixture(scope="session")
def embed(embedder) -> Callable:
    return embedder.embed


@pytest.fixture(scope="session")
def model(embed) -> Extractive:
    return ExtractiveConfig().load(Resources(embed=embed))
