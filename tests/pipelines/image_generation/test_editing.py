"""Edits: against the image-to-image and inpainting pipelines of diffusers; what a mask means; what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput, UnsupportedByEngine
from pipelines.image_generation import DiffusersConfig, EditRequest, IconsConfig, ImageRequest
from pipelines.image_generation.diffusers import DiffusionPainter
from pipelines.image_generation.editing import transparent_area
from pipelines.media.image import DecodedImage
from tests.checkpoints.image_generation import (
    make_tiny_flux2_klein,
    make_tiny_latent_consistency,
    make_tiny_stable_diffusion,
)

KINDS = {
    "stable-diffusion": make_tiny_stable_diffusion,
    "latent-consistency": make_tiny_latent_consistency,
    "flux2-klein": make_tiny_flux2_klein,
}
WIDTH, HEIGHT = 96, 64
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
AREA = np.zeros((HEIGHT, WIDTH), bool)
AREA[:, WIDTH // 2 :] = True


@pytest.fixture(scope="module")
def folder(checkpoint: Callable[..., Path]) -> Callable[[str], Path]:
    return lambda kind: checkpoint(KINDS[kind])


@pytest.fixture(scope="module")
def painter(folder: Callable[[str], Path]) -> Callable[[str], DiffusionPainter]:
    loaded: dict[str, DiffusionPainter] = {}

    def load(kind: str) -> DiffusionPainter:
        if kind not in loaded:
            loaded[kind] = DiffusersConfig(model=str(folder(kind)), steps=2).load(Resources())
        return loaded[kind]

    return load


def request(seed: int = 3, width: int = WIDTH, height: int = HEIGHT) -> ImageRequest:
    return ImageRequest("a pig", width, height, seed)


def painted(pipeline: Any, **options: Any) -> np.ndarray:
    """What the library makes of the same request."""
    generator = torch.Generator().manual_seed(3)
    made = pipeline(prompt="a pig", image=Image.fromarray(IMAGE), num_inference_steps=2, generator=generator, **options)
    return np.asarray(made.images[0])


@pytest.mark.parametrize("kind", KINDS)
def test_edits_as_the_library_does(kind: str, folder: Callable, painter: Callable) -> None:
    from diffusers import AutoPipelineForImage2Image

    expected = painted(AutoPipelineForImage2Image.from_pretrained(folder(kind), local_files_only=True))
    made, other = painter(kind).edit(IMAGE, None, [request(), request(seed=4)])
    assert np.array_equal(made, expected)
    assert np.abs(made.astype(int) - other).max() > 5
    black = painter(kind).edit(np.zeros_like(IMAGE), None, [request()])[0]
    assert not np.array_equal(made, black), "the image counts, though little where random weights attend to it"


@pytest.mark.parametrize("kind", ["stable-diffusion", "flux2-klein"])
def test_a_mask_as_the_library_does_and_nothing_beside_it_changes(
    kind: str, folder: Callable, painter: Callable
) -> None:
    from diffusers import Flux2KleinInpaintPipeline, StableDiffusionInpaintPipeline

    library = StableDiffusionInpaintPipeline if kind == "stable-diffusion" else Flux2KleinInpaintPipeline
    reference = library.from_pretrained(folder(kind), local_files_only=True)
    expected = painted(reference, mask_image=Image.fromarray(AREA).convert("L"), width=WIDTH, height=HEIGHT)
    [made] = painter(kind).edit(IMAGE, AREA, [request()])
    assert np.array_equal(made[AREA], expected[AREA])
    assert np.array_equal(made[~AREA], IMAGE[~AREA])
    assert np.abs(made.astype(int) - IMAGE)[AREA].mean() > 5


def test_editing_leaves_generation_as_it_was(painter: Callable) -> None:
    for kind in KINDS:
        before = painter(kind).generate([request()])[0]
        painter(kind).edit(IMAGE, None, [request()])
        assert np.array_equal(painter(kind).generate([request()])[0], before)


def test_variants_share_the_weights(painter: Callable) -> None:
    for kind in ("stable-diffusion", "flux2-klein"):
        model = painter(kind)
        for variant in (model._image_to_image, model._inpainting):
            assert variant.vae is model._pipeline.vae
            assert variant.text_encoder is model._pipeline.text_encoder


def test_another_size_crops_the_image_and_its_mask(painter: Callable) -> None:
    [made] = painter("stable-diffusion").edit(IMAGE, AREA, [request(width=130, height=130)])
    middle = Image.fromarray(IMAGE).crop((16, 0, 80, 64)).resize((130, 130), Image.Resampling.LANCZOS)
    assert made.shape == (130, 130, 3)
    assert np.abs(made[:, :64].astype(int) - np.asarray(middle)[:, :64]).mean() < 8
    assert np.abs(made[:, 66:].astype(int) - np.asarray(middle)[:, 66:]).mean() > 20


def test_one_step_is_enough(folder: Callable) -> None:
    for kind in KINDS:
        painter = DiffusersConfig(model=str(folder(kind)), steps=1).load(Resources())
        assert painter.edit(IMAGE, None, [request()])[0].shape == IMAGE.shape


def test_what_cannot_be_edited(painter: Callable) -> None:
    with pytest.raises(UnsupportedByEngine, match="within a mask") as refused:
        painter("latent-consistency").edit(IMAGE, AREA, [request()])
    assert (refused.value.param, refused.value.code) == ("mask", "unsupported_by_engine")
    with pytest.raises(UnsupportedByEngine, match="diffusers"):
        IconsConfig().load(Resources()).edit(IMAGE, None, [request()])
    made = painter("stable-diffusion").edit(IMAGE, None, [request(width=63), request()])
    assert [getattr(each, "param", None) for each in made] == ["size", None]


def test_cancelling_stops_at_the_next_step(painter: Callable) -> None:
    reported: list[float] = []

    def leave(done: float | None, _stage: str, /) -> None:
        reported.append(done)
        if done:
            raise Cancelled("gone")

    with pytest.raises(Cancelled):
        painter("stable-diffusion").edit(IMAGE, AREA, [request(), request()], progress=leave)
    assert reported == [0, pytest.approx(1 / 6)]


def decoded(alpha: np.ndarray | None, rows: int = 2, columns: int = 3) -> DecodedImage:
    return DecodedImage(np.zeros((rows, columns, 3), np.uint8), alpha)


def test_only_what_is_fully_transparent_is_edited() -> None:
    alpha = np.array([[0, 1, 128], [255, 0, 254]], np.uint8)
    area = transparent_area(decoded(alpha), decoded(None))
    assert area.tolist() == [[True, False, False], [False, True, False]]
    for mask in (decoded(None), decoded(np.full((2, 3), 255, np.uint8)), decoded(np.zeros((3, 2), np.uint8), 3, 2)):
        with pytest.raises(InvalidInput) as refused:
            transparent_area(mask, decoded(None))
        assert refused.value.param == "mask"


def test_the_size_of_an_edit_is_the_images_own() -> None:
    def sizes(rows: int, columns: int, size: tuple[int, int] | None = None) -> list[tuple[int, int, int]]:
        made = EditRequest("a pig", 2, 2**63 - 1, size).requests(np.zeros((rows, columns, 3), np.uint8))
        return [(each.width, each.height, each.seed) for each in made]

    assert sizes(300, 400) == [(400, 300, 2**63 - 1), (400, 300, 0)]
    assert [size[:2] for size in sizes(3000, 4096)] == [(2048, 1500)] * 2
    assert [size[:2] for size in sizes(300, 400, (64, 512))] == [(64, 512)] * 2
    with pytest.raises(InvalidInput, match="8 times"):
        sizes(100, 801)
