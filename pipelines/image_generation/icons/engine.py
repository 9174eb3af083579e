"""Image generation by composing icons into an illustration: needs no download and no GPU.

The icons are glyphs of Material Design Icons (Apache-2.0) and Font Awesome Free (SIL OFL 1.1), which the package
`qtawesome` carries; a noun without one takes a neutral icon. Stated colors, counts, relations, sky and ground are
followed. It knows nothing of actions, moods or styles.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress, no_progress
from pipelines.image_generation.base import ImageGenerator, ImageOrRefusal, ImageRequest, check
from pipelines.image_generation.icons.layout import Scene, arrange
from pipelines.image_generation.icons.painting import IconFonts, Painter
from pipelines.image_generation.icons.prompt import Description, Reader


class IconsConfig(EngineConfig):
    """The embedded illustrator."""

    engine: Literal["icons"] = "icons"

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="icons",
            license="Apache-2.0 AND OFL-1.1",
            description="Composes illustrations from icon fonts: stated things, colors, counts up to ten, positions, "
            "sky and ground. It is not a diffusion model: no photographs, styles or actions.",
            embedded=True,
        )

    def load(self, resources: Resources) -> "IconIllustrator":
        """Read the fonts."""
        return IconIllustrator(IconFonts())


class IconIllustrator(ImageGenerator):
    """Draws prompts with icons. Not thread-safe."""

    def __init__(self, fonts: IconFonts) -> None:
        self._fonts = fonts

    def generate(self, requests: Sequence[ImageRequest], *, progress: Progress = no_progress) -> list[ImageOrRefusal]:
        """As the base says; the same request gives the same bytes."""
        results: list[ImageOrRefusal] = []
        for number, request in enumerate(requests):
            try:
                painter = Painter(self.plan(request), self._fonts, request.width, request.height)
            except InvalidInput as refusal:
                results.append(refusal)
                continue
            layers = painter.layers()
            for index, paint in enumerate(layers):
                progress((number + index / len(layers)) / len(requests), "drawing")
                paint()
            results.append(painter.finish())
        progress(1.0, "drawing")
        return results

    def plan(self, request: ImageRequest) -> Scene:
        """Decide what is drawn where; of one thing at most ten are drawn, of different things at most twelve.

        Raises:
            InvalidInput: what no engine takes, or a prompt that names nothing to draw.
        """
        check(request)
        described = Reader(self._fonts.has).read(request.prompt)
        if described == Description():
            raise InvalidInput(
                "The prompt names nothing that this engine can draw with icons. Name a thing (a pig, two red cars), or "
                "configure the engine `diffusers` for a real image model.",
                "prompt",
            )
        digest = hashlib.sha256(f"{request.seed}:{request.prompt}".encode("utf-8", "surrogatepass")).digest()
        seed = int.from_bytes(digest[:8], "little")
        return arrange(described, self._fonts.aspect, seed, request.width / request.height)
