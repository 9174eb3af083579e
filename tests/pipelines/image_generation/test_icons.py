"""The icons engine: its configuration, its vocabulary and its fonts."""

import subprocess
import sys

import pytest

from pipelines.image_generation import IconsConfig, ImageRequest
from pipelines.image_generation.icons.engine import IconIllustrator
from pipelines.image_generation.icons.prompt import known_look, vocabulary


def test_every_thing_of_the_vocabulary_is_drawn(illustrator: IconIllustrator) -> None:
    assert len(vocabulary()["thing"]) > 300
    for noun in vocabulary()["thing"]:
        article = "a " if noun.isascii() else ""
        (figure,) = illustrator.plan(ImageRequest(article + noun, 64, 64, 0)).figures
        assert figure.look == known_look(noun), noun


def test_the_card_is_honest() -> None:
    card = IconsConfig().card()
    assert card.embedded
    assert "not a diffusion model" in card.description


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="steps"):
        IconsConfig.model_validate({"engine": "icons", "steps": 3})


def test_importing_loads_no_library() -> None:
    code = (
        "import sys, pipelines.image_generation as g; g.IconsConfig().card();"
        "print([m for m in ('torch', 'PIL', 'scipy', 'cv2', 'qtawesome') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_reading_fonts_needs_no_qt(illustrator: IconIllustrator) -> None:
    illustrator.generate([ImageRequest("a pig", 64, 64, 0)])
    assert not [name for name in sys.modules if name.startswith(("qtawesome", "qtpy", "PyQt", "PySide"))]
