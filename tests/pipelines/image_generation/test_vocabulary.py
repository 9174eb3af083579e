"""The table of looks and the fonts."""

import subprocess
import sys

import pytest

from pipelines.image_generation import IconsConfig
from pipelines.image_generation.icons.engine import IconIllustrator
from pipelines.image_generation.icons.looks import known_looks
from pipelines.image_generation.icons.prompt import describe
from pipelines.image_generation.icons.vocabulary import Vocabulary
from pipelines.image_generation.icons.words import CHINESE, SCENERY, SENSES


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.load()


def test_every_look_has_a_glyph(vocabulary: Vocabulary) -> None:
    looks = known_looks()
    assert len(looks) > 400
    for look in looks.values():
        assert 0.1 < vocabulary.aspect(look.icon) < 10, look.name


def test_every_second_sense_and_chinese_noun_is_read(vocabulary: Vocabulary) -> None:
    for senses in SENSES.values():
        for _, noun in senses:
            assert vocabulary.exact(noun), noun
    for chinese, english in CHINESE.items():
        if english not in SCENERY and vocabulary.exact(english):
            assert [thing.word for thing in describe(chinese, vocabulary).things] == [english]


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
        "print([m for m in ('torch', 'PIL', 'scipy', 'cv2', 'sentence_transformers', 'qtawesome') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_reading_fonts_needs_no_qt(illustrator: IconIllustrator) -> None:
    illustrator.plan("a pig")
    assert not [name for name in sys.modules if name.startswith(("qtawesome", "qtpy", "PyQt", "PySide"))]
