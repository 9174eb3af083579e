"""Image understanding without a model: colours, light, people, kind of image, areas of one look.

Says only what such means can see. It does not know objects: a cup is a red area to it.
"""

from typing import Literal, Self

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.progress import Progress, no_progress
from pipelines.image_understanding.base import Description, ImageUnderstander
from pipelines.image_understanding.classical.caption import caption_of
from pipelines.image_understanding.classical.colors import Palette, palette
from pipelines.image_understanding.classical.kind import Kind, kind_of, page_colors
from pipelines.image_understanding.classical.people import NOBODY, People, PeopleDetector
from pipelines.image_understanding.classical.segments import segment
from pipelines.media import Rgb


class ClassicalConfig(EngineConfig):
    """Colours, kind, people and regions by classical means: needs no download."""

    engine: Literal["classical"] = "classical"

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="colour, texture and cascade statistics",
            license="Apache-2.0",
            description="Names colours, light, people and the kind of image, and segments by look; knows no objects.",
            embedded=True,
        )

    def load(self, resources: Resources) -> ImageUnderstander:
        """An engine with OpenCV's detectors read from its wheel."""
        return Classical.load(self)


class Classical(ImageUnderstander):
    """Classical image statistics. Not thread-safe."""

    def __init__(self, people: PeopleDetector) -> None:
        self._people = people

    @classmethod
    def load(cls, config: ClassicalConfig) -> Self:
        """Read the detectors."""
        del config
        return cls(PeopleDetector.load())

    def describe(self, image: Rgb, *, progress: Progress = no_progress) -> Description:
        """Caption, classify and segment one image: see the base class."""
        progress(0.0, "looking")
        colors = palette(image)
        kind, writing = kind_of(image)
        progress(0.2, "looking for people")
        people = self._people.detect(image) if kind == "photo" else NOBODY
        progress(0.7, "segmenting")
        masks = segment(image)
        if writing is None:
            caption = caption_of(image, kind, colors, people, masks)
        else:
            ink, paper = page_colors(image, writing)
            caption = f"A page of text, {ink} on {paper}."
        progress(1.0, "segmenting")
        return Description(caption=caption, classes=_classes(kind, colors, people), masks=masks)


def _classes(kind: Kind, colors: Palette, people: People) -> tuple[str, ...]:
    classes: list[str] = []
    if people.count:
        classes.append("person")
    if people.faces:
        classes.append("face")
    classes.append(kind)
    if colors.colorless:
        classes.append("black-and-white")
    return tuple(classes)
