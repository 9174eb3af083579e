"""Fixtures for tests of the deployments."""

from collections.abc import Iterator

import pytest

from tests.postgres import postgres_in_tmp
from tests.s3 import s3_server

__all__ = ["s3_server"]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL, for the tests of one module."""
    with postgres_in_tmp() as url:
        yield url
