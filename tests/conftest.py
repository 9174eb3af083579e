"""Fixtures that every test may use."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving import RunningGraph, running

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"


@pytest.fixture(scope="session")
def sample() -> Callable[[str], Path]:
    """Path of a real sample by name; the test is skipped by that name where the samples are not at hand."""

    def find(name: str) -> Path:
        path = SAMPLES / name
        if not path.is_file():
            pytest.skip(f"sample {name} is not here")
        return path

    return find


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
