"""Fixtures that every test may use, and which tests are live."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # tiny networks gain nothing from more; read when numeric libraries are loaded

import httpx
import pytest

from tests.serving import RunningGraph, running

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"
LIVE_FIXTURES = {"graph", "models", "open_console"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever uses a running graph is live."""
    for item in items:
        if LIVE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session")
def sample() -> Callable[[str], Path]:
    """Path of a real sample by name; the test is skipped if there are no samples."""

    def find(name: str) -> Path:
        path = SAMPLES / name
        if not path.is_file():
            pytest.skip(f"sample {name} is not here")
        return path

    return find


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A tiny checkpoint by its maker, `checkpoint(make_tiny_dfine, seed=1)`; made once, to be read and not changed."""
    home = tmp_path_factory.mktemp("checkpoints")

    @cache
    def make(maker: Callable[..., Path], **options: Any) -> Path:
        folder = home / f"{maker.__name__.removeprefix('make_')}-{len(list(home.iterdir()))}"  # its maker makes it
        made: Path = maker(folder, **options)
        return made

    return make


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGraph]:
    """The whole graph with its embedded engines, started once for all tests that speak HTTP."""
    with running(tmp_path_factory.mktemp("graph")) as started:
        yield started


@pytest.fixture
def client(graph: RunningGraph) -> Iterator[httpx.Client]:
    """An HTTP client of the running graph."""
    with httpx.Client(base_url=graph.url, timeout=300) as client:
        yield client
