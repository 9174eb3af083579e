"""Image understanding without a model: colors, light, people, kind of image, areas of one look.

Reports only what such means can see. It knows no objects: a cup is a red area to it.
"""

from typing import Final, Literal

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.progress import Progress, no_progress
from pipelines.image_understanding.base import Description, ImageUnderstander
from pipelines.image_understanding.classical.colors import Palette, palette
from pipelines.image_understanding.classical.kind import Kind, kind_of
from pipelines.image_understanding.classical.people import PeopleDetector
from pipelines.image_understanding.classical.segments import segment
from pipelines.media import Rgb

NUMBERS: Final = ("", "a person", "two people", "three people", "four people", "several people")
PORTRAIT, NAMED, NAMED_IF_VIVID = 0.02, 0.12, 0.025
"""Parts of the image from which on a face is its subject, a color is named beside others, and a vivid one is."""
VIVID: Final = ("red", "dark red", "orange", "yellow", "pink", "magenta", "purple", "blue", "turquoise", "green")


class ClassicalConfig(EngineConfig):
    """Colors, kind, people and regions by classical means: needs no download."""

    engine: Literal["classical"] = "classical"

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="color, texture and cascade statistics",
            license="Apache-2.0",
            description="Names colors, light, people and the kind of image, and segments by look; knows no objects.",
            embedded=True,
        )

    def load(self, resources: Resources) -> ImageUnderstander:
        """Read the detectors that OpenCV's wheel contains."""
        return Classical(PeopleDetector())


class Classical(ImageUnderstander):
    """Classical image statistics. Not thread-safe."""

    def __init__(self, people: PeopleDetector) -> None:
        self._people = people

    def describe(self, image: Rgb, *, progress: Progress = no_progress) -> Description:
        """Caption, classify and segment one image: see the base class."""
        progress(0.0, "looking")
        colors = palette(image)
        kind, page = kind_of(image)
        progress(0.2, "looking for people")
        people, face = self._people.detect(image) if kind == "photo" else (0, 0.0)
        progress(0.7, "segmenting")
        masks = segment(image)
        progress(1.0, "segmenting")
        caption = f"A page of text, {page[0]} on {page[1]}." if page else _caption(kind, colors, people, face)
        seen = {"person": people, "face": face, kind: True, "black-and-white": colors.colorless}
        return Description(caption, classes=tuple(name for name, present in seen.items() if present), masks=masks)


def _caption(kind: Kind, colors: Palette, people: int, face: float) -> str:
    first, *others = list(colors.shares)
    if colors.contrast < 2 and not others:
        return f"A plain {first} image."
    looks = {
        "dark": colors.lightness < 30,
        "bright": colors.lightness > 66,
        "low-contrast": colors.contrast < 6,
        "black-and-white": colors.colorless,
    }
    adjectives = ", ".join(look for look, present in looks.items() if present)
    sentence = f"A {adjectives} {kind}" if adjectives else f"A {kind}"
    if people:
        sentence += " of a person's face" if people == 1 and face > PORTRAIT else f" of {NUMBERS[min(people, 5)]}"
    if colors.colorless:
        return f"{sentence}."
    *more, last = [first, *(name for name in others[:2] if colors.shares[name] > NAMED)]
    sentence += f", mostly {', '.join(more)} and {last}" if more else f", mostly {last}"
    vivid = [name for name in VIVID if colors.shares.get(name, 0) > NAMED_IF_VIVID and name not in {*more, last}]
    return f"{sentence}, with some {vivid[0]}." if vivid and not people else f"{sentence}."
