"""Image generation by composing icons into an illustration: needs no download and no GPU.

Nouns of the prompt become glyphs of the fonts Material Design Icons (Apache-2.0), Font Awesome Free (SIL OFL 1.1)
and Phosphor (MIT), which the package `qtawesome` carries; an unknown noun takes a neutral icon. Stated
colours, counts, relations, sky and ground are followed.

It draws only things that it has icons for, and knows nothing of actions, moods or styles.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress, no_progress
from pipelines.image_generation.base import ImageGenerator, ImageOrRefusal, ImageRequest, check
from pipelines.image_generation.icons import backdrop
from pipelines.image_generation.icons.canvas import Canvas
from pipelines.image_generation.icons.figures import FigurePainter
from pipelines.image_generation.icons.layout import arrange
from pipelines.image_generation.icons.prompt import Description, describe
from pipelines.image_generation.icons.scene import Scene
from pipelines.image_generation.icons.setting import Setting
from pipelines.image_generation.icons.vocabulary import Vocabulary


class IconsConfig(EngineConfig):
    """The embedded illustrator."""

    engine: Literal["icons"] = "icons"

    def card(self) -> ModelCard:
        """What this engine is."""
        return ModelCard(
            model="icons",
            license="MIT",
            description=(
                "Composes illustrations from icon fonts: stated things, colours, counts up to ten, positions, sky "
                "and ground. It is not a diffusion model: no photographs, styles or actions."
            ),
            embedded=True,
        )

    def load(self, resources: Resources) -> "IconIllustrator":
        """Read the fonts."""
        return IconIllustrator(Vocabulary.load())


class IconIllustrator(ImageGenerator):
    """Draws prompts with icons. Not thread-safe."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._figures = FigurePainter(vocabulary)

    def plan(self, prompt: str, seed: int = 0, aspect: float = 1.0) -> Scene:
        """Decide what is drawn where.

        Args:
            prompt: 1 to 4,000 characters. Of one thing at most ten are drawn, of different things at most twelve.
            seed: decides what the prompt leaves open.
            aspect: width over height of the image.

        Raises:
            InvalidInput: an empty or too long prompt, or one that names nothing that can be drawn.
        """
        described = self._read(prompt)
        digest = hashlib.sha256(f"{seed}:{prompt}".encode("utf-8", "surrogatepass")).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        return arrange(described, self._vocabulary.aspect, rng, aspect)

    def generate(self, requests: Sequence[ImageRequest], *, progress: Progress = no_progress) -> list[ImageOrRefusal]:
        """Draw one image per request, as the base says; the same request always gives the same bytes."""
        scenes = [self._scene(request) for request in requests]
        made: list[ImageOrRefusal] = []
        for index, (request, scene) in enumerate(zip(requests, scenes, strict=True)):
            if isinstance(scene, InvalidInput):
                made.append(scene)
                continue
            canvas = Canvas(request.width, request.height)
            for done in self._paint(scene, canvas):
                progress((index + done) / len(requests), "drawing")
            made.append(canvas.finish(np.random.default_rng(scene.seed)))
        progress(1.0, "drawing")
        return made

    def _scene(self, request: ImageRequest) -> Scene | InvalidInput:
        try:
            check(request)
            return self.plan(request.prompt, request.seed, request.width / request.height)
        except InvalidInput as refusal:
            return refusal

    def _read(self, prompt: str) -> Description:
        described = describe(prompt, self._vocabulary)
        if not described.things and not described.says_where:
            raise InvalidInput(
                "This embedded engine draws only things that it has icons for, and the prompt names none of them. "
                "Name a thing (a pig, two red cars), or configure the engine diffusers for a real image model.",
                "prompt",
            )
        return described

    def _paint(self, scene: Scene, canvas: Canvas) -> Iterator[float]:
        """Paint layer by layer; yields the part done after each."""
        rng = np.random.default_rng(scene.seed + 1)
        setting = Setting(scene, canvas, rng)
        layers: list[backdrop.Layer] = [
            *backdrop.behind(scene, canvas, rng),
            *(partial(self._figures.paint, figure, setting) for figure in scene.figures),
            *backdrop.before(scene, canvas, rng),
        ]
        yield 0.0
        for index, layer in enumerate(layers):
            layer()
            yield (index + 1) / len(layers)
