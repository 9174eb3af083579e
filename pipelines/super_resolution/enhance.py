"""Enlarge whole images tile by tile, keeping alpha, bit depth, EXIF and color profile.

Memory beyond the image and its result does not depend on their size.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.progress import Progress, no_progress
from pipelines.media.image import DecodedImage, Samples, enlarged_exif
from pipelines.super_resolution.base import RgbFloat, SuperResolver

Plane = NDArray[np.float32]


def enhance(image: DecodedImage, resolver: SuperResolver, progress: Progress = no_progress) -> DecodedImage:
    """Enlarge an image by the resolver's scale.

    Args:
        image: of any size from 1 × 1.
        resolver: does the enlarging.
        progress: called before each step of each tile: transparent pixels, colors, alpha.

    Returns:
        An image of the same bit depth and color profile, with alpha if there was any.

    Raises:
        Cancelled: `progress` said so.
    """
    scale = resolver.scale
    rows, columns = image.pixels.shape[:2]
    pixels = np.empty((rows * scale, columns * scale, 3), image.pixels.dtype)
    alpha = None if image.alpha is None else np.empty(pixels.shape[:2], pixels.dtype)
    tiles = list(_tiles(rows, columns, resolver.tile_px))
    for number, tile in enumerate(tiles):
        fraction = number / len(tiles)
        progress(fraction, "enhancing")
        near = tile.grown(resolver.overlap_px, rows, columns)
        inner, target = tile.within(near, scale), tile.scaled(scale)
        visible = _visible(image, near, resolver.overlap_px)
        progress(fraction, "enhancing")
        large = resolver.upscale(visible)
        pixels[target] = _as(pixels.dtype, large[inner])
        if alpha is not None and image.alpha is not None:
            progress(fraction, "enhancing")
            opacity = _enlarge(_as_float(image.alpha[near.window]), scale)
            alpha[target] = _as(alpha.dtype, opacity[inner])
    progress(1.0, "enhancing")
    exif = None if image.exif is None else enlarged_exif(image.exif, columns * scale, rows * scale, scale)
    return DecodedImage(pixels=pixels, alpha=alpha, exif=exif, icc_profile=image.icc_profile)


@dataclass(frozen=True)
class _Tile:
    """Rows `top` to `bottom` and columns `left` to `right` of an image."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def window(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, margin: int, rows: int, columns: int) -> "_Tile":
        """This tile and what surrounds it, as far as the image goes."""
        return _Tile(
            max(0, self.top - margin),
            min(rows, self.bottom + margin),
            max(0, self.left - margin),
            min(columns, self.right + margin),
        )

    def scaled(self, scale: int) -> tuple[slice, slice]:
        """Where this tile lies in the enlarged image."""
        return slice(self.top * scale, self.bottom * scale), slice(self.left * scale, self.right * scale)

    def within(self, outer: "_Tile", scale: int) -> tuple[slice, slice]:
        """Where this tile lies in the enlarged `outer`."""
        moved = _Tile(self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left)
        return moved.scaled(scale)


def _tiles(rows: int, columns: int, side: int) -> Iterator[_Tile]:
    for top in range(0, rows, side):
        for left in range(0, columns, side):
            yield _Tile(top, min(top + side, rows), left, min(left + side, columns))


def _visible(image: DecodedImage, tile: _Tile, reach: int) -> RgbFloat:
    """The tile's colors; behind fully transparent pixels, those of the visible ones nearby.

    Files store anything there, often black, which would bleed into the visible edge as a dark fringe. Visible colors
    are spread by `reach` pixels, as far as the resolver looks: one ring at a time, each pixel the mean of its
    known neighbors, weighted by their opacity.
    """
    if image.alpha is None or image.alpha[tile.window].all():
        return _as_float(image.pixels[tile.window])
    import cv2

    rows, columns = image.alpha.shape
    near = tile.grown(reach, rows, columns)
    color = _as_float(image.pixels[near.window])
    weight = _as_float(image.alpha[near.window])
    neighbors = np.ones((3, 3), np.float32)
    for _ in range(reach):
        unknown = weight == 0
        if not unknown.any() or unknown.all():
            break
        around = cv2.filter2D(weight, -1, neighbors, borderType=cv2.BORDER_REPLICATE)
        spread = cv2.filter2D(color * weight[..., None], -1, neighbors, borderType=cv2.BORDER_REPLICATE)
        ring = unknown & (around > 0)
        color[ring] = spread[ring] / around[ring][:, None]
        weight[ring] = 1
    return np.ascontiguousarray(color[tile.within(near, 1)])


def _enlarge(opacity: Plane, scale: int) -> Plane:
    """Bicubic without overshoot: opaque stays opaque, transparent stays transparent."""
    import cv2

    large = cv2.resize(opacity, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    window = np.ones((3, 3), np.uint8)
    low, high = (
        cv2.resize(bound, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        for bound in (cv2.erode(opacity, window), cv2.dilate(opacity, window))
    )
    return np.clip(large, low, high)


def _as_float(samples: Samples) -> NDArray[np.float32]:
    return samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)


def _as(dtype: np.dtype[np.uint8] | np.dtype[np.uint16], values: NDArray[np.float32]) -> Samples:
    return np.rint(np.clip(values, 0, 1) * np.iinfo(dtype).max).astype(dtype)
