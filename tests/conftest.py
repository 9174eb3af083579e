"""Fixtures that every test may use."""

from collections.abc import Callable
from pathlib import Path

import pytest

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
