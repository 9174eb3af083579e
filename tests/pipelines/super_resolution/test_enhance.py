"""Whole images: tiles, alpha, bit depth, metadata."""

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled
from pipelines.media.image import DecodedImage, read_image, write_png
from pipelines.super_resolution import ClassicalConfig, RgbFloat, SuperResolver, enhance


@pytest.fixture(scope="module")
def resolver() -> SuperResolver:
    return ClassicalConfig().load(Resources())


class Repeat(SuperResolver):
    """The simplest resolver, so that only what `enhance` adds is seen."""

    scale, tile_px, overlap_px = 2, 16, 3

    def upscale(self, tile: RgbFloat) -> RgbFloat:
        assert max(tile.shape[:2]) <= self.tile_px + 2 * self.overlap_px
        return tile.repeat(2, axis=0).repeat(2, axis=1)


def untiled(resolver: SuperResolver) -> SuperResolver:
    whole = type(resolver)()
    whole.tile_px = 10_000
    return whole


def test_tiles_leave_no_seam(resolver: SuperResolver) -> None:
    tiled = type(resolver)()
    tiled.tile_px = 48
    pixels = data.coffee()[100:220, 150:290]
    opacity = np.clip(np.hypot(*np.mgrid[-60:60, -70:70]) * 8 - 200, 0, 255).astype(np.uint8)
    image = DecodedImage(pixels, opacity)
    parts, whole = enhance(image, tiled), enhance(image, untiled(resolver))
    worst = np.abs(parts.pixels.astype(int) - whole.pixels.astype(int)).max()
    print(f"tiled and whole differ by at most {worst}/255")
    assert worst <= 1
    assert np.array_equal(parts.alpha, whole.alpha)


def test_16_bit_image_with_alpha(sample: Callable[[str], Path], resolver: SuperResolver) -> None:
    with sample("tree_rgba16.png").open("rb") as file:
        image = read_image(file, max_pixels=100_000)
    crop = DecodedImage(
        np.ascontiguousarray(image.pixels[:96, 100:196]),
        np.ascontiguousarray(image.alpha[:96, 100:196]) if image.alpha is not None else None,
        icc_profile=image.icc_profile,
    )
    large = read_image(io.BytesIO(write_png(enhance(crop, resolver))), max_pixels=1_000_000)
    assert large.pixels.shape == (384, 384, 3)
    assert large.pixels.dtype == np.uint16
    assert len(np.unique(large.pixels)) > 256
    assert large.icc_profile == image.icc_profile
    assert large.alpha is not None
    assert large.alpha.dtype == np.uint16
    assert len(np.unique(large.alpha)) > 256


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_bright_shape_on_black_transparency_has_no_dark_fringe(kind: type, resolver: SuperResolver) -> None:
    full = np.iinfo(kind).max
    inside = np.hypot(*np.mgrid[-20:20, -20:20]) < 13
    pixels = np.where(inside[..., None], np.array([full, full * 0.8, full * 0.2]), 0).astype(kind)
    large = enhance(DecodedImage(pixels, np.where(inside, full, 0).astype(kind)), resolver)
    assert large.alpha is not None
    seen = large.pixels[large.alpha > 0] / full
    assert np.abs(seen - [1, 0.8, 0.2]).max() < 0.01
    assert 0 < np.count_nonzero((large.alpha > 0) & (large.alpha < full)) < 0.2 * large.alpha.size
    assert large.alpha[0, 0] == 0
    assert large.alpha[80, 80] == full


def test_colors_behind_transparency_do_not_depend_on_tiles() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (50, 45, 3)).astype(np.uint8)
    alpha = np.where(rng.random((50, 45)) < 0.02, 255, 0).astype(np.uint8)
    parts, whole = enhance(DecodedImage(pixels, alpha), Repeat()), enhance(DecodedImage(pixels, alpha), Whole())
    assert np.abs(parts.pixels.astype(int) - whole.pixels.astype(int)).max() <= 1


class Whole(Repeat):
    tile_px = 1000


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_odd_sizes(size: tuple[int, int], resolver: SuperResolver) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    large = enhance(DecodedImage(pixels, rng.integers(0, 256, size).astype(np.uint8)), resolver)
    assert large.pixels.shape == (size[0] * 4, size[1] * 4, 3)
    assert large.alpha is not None
    assert large.alpha.shape == (size[0] * 4, size[1] * 4)


def test_metadata_is_kept_and_updated() -> None:
    tags = Image.Exif()
    tags[0x010F], tags[0x011A] = "Maker", 100.0
    tags.get_ifd(0x8769)[0xA002] = 30
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "teal").save(file, "JPEG", exif=tags)
    large = enhance(read_image(file, max_pixels=1000), Repeat())
    written = Image.open(io.BytesIO(write_png(large))).getexif()
    assert (written[0x010F], written[0x011A], written.get_ifd(0x8769)[0xA002]) == ("Maker", 200.0, 60)


def test_progress_runs_to_one_and_cancels_between_the_steps_of_tiles() -> None:
    image = DecodedImage(np.zeros((40, 40, 3), np.uint8))
    translucent = DecodedImage(image.pixels, np.full((40, 40), 9, np.uint8))
    seen: list[float | None] = []
    for each, steps in ((image, 2), (translucent, 3)):
        seen.clear()
        enhance(each, Repeat(), lambda fraction, _stage: seen.append(fraction))
        assert seen == [n / 9 for n in range(9) for _ in range(steps)] + [1.0]

    def leave(fraction: float | None, _stage: str) -> None:
        seen.append(fraction)
        if len(seen) == 3:
            raise Cancelled("gone")

    seen.clear()
    with pytest.raises(Cancelled):
        enhance(image, Repeat(), leave)
    assert len(seen) == 3


def test_memory_beside_the_result_does_not_grow() -> None:
    def extra(side: int) -> int:
        image = DecodedImage(np.zeros((side, side, 3), np.uint8), np.full((side, side), 9, np.uint8))
        tracemalloc.start()
        enhance(image, Repeat())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - side * side * 4 * 4

    small, large = extra(64), extra(512)
    print(f"beside the result: {small >> 10} KiB at 64 px, {large >> 10} KiB at 512 px")
    assert large < small + 400_000
