"""Real-ESRGAN on its published weights: equal to ncnn's own implementation, and sharper than an interpolation."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.contracts.engine import Resources
from pipelines.media.image import read_image
from pipelines.super_resolution import RealEsrganConfig, SuperResolver
from pipelines.super_resolution.enhance import enhance
from tests.checkpoints.published import make_published_real_esrgan, real_esrgan_ncnn

NETWORKS = ("realesrgan-x4plus", "realesrgan-x4plus-anime", "realesr-animevideov3-x4")


def load(folder: Path, name: str, **options: int) -> SuperResolver:
    resolver: SuperResolver = RealEsrganConfig(model=str(folder), file=f"{name}.pth", device="cpu", **options).load(
        Resources()
    )
    return resolver


def by_ncnn(name: str, image: np.ndarray) -> np.ndarray:
    """The same network and file, run by ncnn in float32: RGB float32 (4 H, 4 W, 3), 0 to 1."""
    import ncnn

    net = ncnn.Net()
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_fp16_packed = False
    description, weights = real_esrgan_ncnn(name)
    net.load_param(str(description))
    net.load_model(str(weights))
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(planes).clone())
    _, enlarged = extractor.extract("output")
    return np.clip(np.array(enlarged).transpose(1, 2, 0), 0, 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_equal_to_ncnn_on_the_same_file(
    name: str, checkpoint: Callable[..., Path], sample: Callable[[str], Path]
) -> None:
    folder = checkpoint(make_published_real_esrgan, name=name)
    image = np.asarray(Image.open(sample("baboon_lq.png")).convert("RGB"), np.float32)[40:64, 30:62] / 255
    difference = np.abs(load(folder, name).upscale(image) - by_ncnn(name, image)).max() * 255
    print(f"{name}: at most {difference:.4f} of 255 away from ncnn")
    assert difference <= 2


def sharpness(image: np.ndarray) -> float:
    """Mean length of the gradient of the luminance, 0 to 255 per pixel."""
    luminance = image.astype(np.float64) @ (0.299, 0.587, 0.114)
    return float(np.hypot(*np.gradient(luminance)).mean())


def test_sharper_than_bicubic_and_tiles_equal_the_whole(
    checkpoint: Callable[..., Path], sample: Callable[[str], Path], tmp_path: Path
) -> None:
    """Measured by the mean gradient of the luminance, on a part of the baboon and with the small network's tiles."""
    name = "realesr-animevideov3-x4"
    folder = checkpoint(make_published_real_esrgan, name=name)
    crop = Image.open(sample("baboon_lq.png")).convert("RGB").crop((16, 16, 112, 112))
    crop.save(tmp_path / "crop.png")
    with (tmp_path / "crop.png").open("rb") as file:
        image = read_image(file, max_pixels=10**6)
    whole = enhance(image, load(folder, name, tile_px=256)).rgb8()
    tiled = enhance(image, load(folder, name, tile_px=64)).rgb8()
    bicubic = np.asarray(crop.resize((384, 384), Image.Resampling.BICUBIC))
    print(f"sharpness: bicubic {sharpness(bicubic):.2f}, Real-ESRGAN {sharpness(whole):.2f}")
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert sharpness(whole) > 1.1 * sharpness(bicubic)
