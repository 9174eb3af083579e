"""The illustrator, loaded once."""

import pytest

from pipelines.contracts.engine import Resources
from pipelines.image_generation.icons.engine import IconIllustrator, IconsConfig


@pytest.fixture(scope="session")
def illustrator() -> IconIllustrator:
    return IconsConfig().load(Resources())
