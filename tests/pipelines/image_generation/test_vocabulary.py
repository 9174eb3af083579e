"""The table of looks, the fonts, and the kept vectors."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipelines.contracts.engine import Embed
from pipelines.image_generation import IconsConfig
from pipelines.image_generation.icons.engine import IconIllustrator
from pipelines.image_generation.icons.looks import known_looks
from pipelines.image_generation.icons.prompt import describe
from pipelines.image_generation.icons.vocabulary import Vocabulary
from pipelines.image_generation.icons.words import CHINESE, SCENERY, SENSES


class Counting:
    """Embeds by hash, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += len(texts)
        vectors = np.array([[hash(text + str(axis)) % 997 for axis in range(8)] for text in texts], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def vocabulary(embed: Embed, request: pytest.FixtureRequest) -> Vocabulary:
    return Vocabulary.load(embed, request.config.cache.mkdir("icons"))


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


def test_vectors_are_kept_and_used(tmp_path: Path) -> None:
    first, second, third = Counting(), Counting(), Counting()
    folder = tmp_path / "new"
    Vocabulary.load(first, folder)
    (kept,) = folder.iterdir()
    assert kept.suffix == ".npy"
    assert 1000 < first.asked < 2502
    Vocabulary.load(second, folder)
    assert second.asked == 1
    Vocabulary.load(third)
    assert third.asked == first.asked - 1


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    Vocabulary.load(Counting(), tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    again = Counting()
    Vocabulary.load(again, tmp_path)
    assert again.asked > 1000
    assert np.load(kept).shape[1] == 8


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
