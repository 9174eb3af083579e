"""The classical resolver, measured on images with known ground truth."""

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from pipelines.contracts.engine import Resources
from pipelines.super_resolution import ClassicalConfig, RgbFloat, SuperResolver

Plane = NDArray[np.float32]


@pytest.fixture(scope="module")
def resolver() -> SuperResolver:
    return ClassicalConfig().load(Resources())


def opened(path: Path) -> RgbFloat:
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / 255


def resized(image: RgbFloat, width: int, height: int) -> RgbFloat:
    """Bicubic, in 8 bits, as a photo editor does it."""
    small = Image.fromarray(np.rint(image * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(small, np.float32) / 255


def enlarged(image: RgbFloat) -> RgbFloat:
    return resized(image, image.shape[1] * 4, image.shape[0] * 4)


def psnr(one: RgbFloat, other: RgbFloat) -> float:
    return float(-10 * np.log10(np.mean((one - other) ** 2)))


def luma(image: RgbFloat) -> Plane:
    return np.asarray(image @ np.array([0.299, 0.587, 0.114], np.float32))


def sharpness(image: RgbFloat) -> float:
    """Root mean square of the brightness gradient."""
    down, right = np.gradient(luma(image))
    return float(np.sqrt(np.mean(down**2 + right**2)))


def edge_width(image: RgbFloat) -> int:
    """Pixels over which the middle row rises from 10 % to 90 %."""
    row = luma(image)[image.shape[0] // 2]
    low, high = row.min(), row.max()
    return int(np.count_nonzero((row > low + 0.1 * (high - low)) & (row < high - 0.1 * (high - low))))


def test_baboon_is_closer_to_the_truth_than_bicubic_and_sharper(
    sample: Callable[[str], Path], resolver: SuperResolver
) -> None:
    small, truth = opened(sample("baboon_lq.png")), opened(sample("baboon_gt.png"))
    ours, bicubic = resolver.upscale(small), enlarged(small)
    gains = psnr(ours, truth) - psnr(bicubic, truth), psnr(luma(ours), truth @ LUMA) - psnr(luma(bicubic), truth @ LUMA)
    print(f"baboon: {psnr(ours, truth):.2f} dB, bicubic {psnr(bicubic, truth):.2f} dB; brightness +{gains[1]:.2f} dB")
    print(f"sharpness over bicubic: {sharpness(ours) / sharpness(bicubic):.2f}")
    assert min(gains) > 0.15
    assert sharpness(ours) > 1.25 * sharpness(bicubic)


LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
def test_photographs_are_closer_to_the_truth_than_bicubic(name: str, resolver: SuperResolver) -> None:
    truth = getattr(data, name)()[:256, :400].astype(np.float32) / 255
    small = resized(truth, 100, 64)
    ours, bicubic = resolver.upscale(small), enlarged(small)
    print(f"{name}: {psnr(ours, truth):.2f} dB, bicubic {psnr(bicubic, truth):.2f} dB")
    assert psnr(ours, truth) > psnr(bicubic, truth) + 0.2
    assert sharpness(ours) > 1.15 * sharpness(bicubic)


def test_slanted_edges_are_sharp_straight_and_without_halo(resolver: SuperResolver) -> None:
    y, x = np.mgrid[:320, :320].astype(np.float32)
    plane = np.where(y > 40 + 0.7 * x, np.float32(0.8), np.float32(0.2))
    truth = np.repeat(plane[..., None], 3, axis=2)
    small = resized(truth, 80, 80)
    ours, bicubic = resolver.upscale(small), enlarged(small)
    inner = np.s_[24:-24, 24:-24]
    print(
        f"slanted edge: {psnr(ours[inner], truth[inner]):.1f} dB, bicubic {psnr(bicubic[inner], truth[inner]):.1f} dB"
    )
    assert psnr(ours[inner], truth[inner]) > psnr(bicubic[inner], truth[inner]) + 2
    assert edge_width(ours) < edge_width(bicubic)
    overshoot = max(ours[inner].max() - 0.8, 0.2 - ours[inner].min()) / 0.6
    usual = max(bicubic[inner].max() - 0.8, 0.2 - bicubic[inner].min()) / 0.6
    print(f"overshoot: {overshoot:.3f} of the step, bicubic {usual:.3f}")
    assert overshoot < usual + 0.02


def test_noise_of_flat_regions_is_not_amplified(resolver: SuperResolver) -> None:
    noise = np.random.default_rng(0).normal(0.5, 2 / 255, (64, 64, 3))
    small = np.rint(noise * 255).astype(np.float32) / 255
    ours, bicubic = luma(resolver.upscale(small)).std(), luma(enlarged(small)).std()
    print(f"noise left: {ours / bicubic:.2f} of bicubic's")
    assert ours <= 1.05 * bicubic


def test_sky_of_a_degraded_jpeg_stays_clean(sample: Callable[[str], Path], resolver: SuperResolver) -> None:
    small = opened(sample("blurry_face.jpg"))[4:25, 4:35]
    ours, bicubic = luma(resolver.upscale(small)), luma(enlarged(small))
    fine = [float((plane - cv2.GaussianBlur(plane, (0, 0), 4)).std()) for plane in (ours, bicubic)]
    print(f"fine noise: {fine[0] / fine[1]:.2f} of bicubic's")
    assert fine[0] <= fine[1]


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2), (2, 2)])
def test_smallest_tiles(size: tuple[int, int], resolver: SuperResolver) -> None:
    flat = np.full((*size, 3), 0.25, np.float32)
    large = resolver.upscale(flat)
    assert large.shape == (size[0] * 4, size[1] * 4, 3)
    assert large.dtype == np.float32
    assert np.abs(large - 0.25).max() < 1e-4
    wild = resolver.upscale(np.random.default_rng(1).random((*size, 3), dtype=np.float32))
    assert np.isfinite(wild).all()
    assert wild.min() >= 0
    assert wild.max() <= 1


def test_same_image_same_result_and_quickly(resolver: SuperResolver) -> None:
    tile = data.coffee()[:128, :128].astype(np.float32) / 255
    start = time.process_time()
    first = resolver.upscale(tile)
    print(f"128 × 128: {time.process_time() - start:.2f} s of processor time")
    assert np.array_equal(first, resolver.upscale(tile))
