"""Real-ESRGAN: published names and shapes, upstream's numbers, tiles without seams, all kinds of files."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from skimage import data

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, ModelUnavailable
from pipelines.media.image import DecodedImage
from pipelines.super_resolution import Config, RealEsrganConfig, SuperResolver, enhance
from pipelines.super_resolution.real_esrgan.rrdbnet import RRDBNet
from pipelines.super_resolution.real_esrgan.srvgg import SRVGGNetCompact
from tests.checkpoints.super_resolution import make_tiny_rrdbnet, make_tiny_srvgg, save, seeded


def load(path: Path, **keys: object) -> SuperResolver:
    return RealEsrganConfig(model=str(path), device="cpu", **keys).load(Resources())


def noise(rows: int, columns: int, seed: int = 1) -> np.ndarray:
    return np.random.RandomState(seed).random_sample((rows, columns, 3)).astype(np.float32)


def convolutions(*rows: tuple[str, int, int]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of 3 × 3 convolutions, given their names, outputs and inputs."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, outputs, inputs in rows:
        shapes |= {f"{name}.weight": (outputs, inputs, 3, 3), f"{name}.bias": (outputs,)}
    return shapes


def published_rrdbnet(inputs: int) -> dict[str, tuple[int, ...]]:
    """Of RealESRGAN_x4plus.pth (3 inputs) and RealESRGAN_x2plus.pth (12)."""
    shapes = convolutions(("conv_first", 64, inputs))
    for dense in (f"body.{block}.rdb{number}" for block in range(23) for number in (1, 2, 3)):
        for number, (outputs, seen) in enumerate(((32, 64), (32, 96), (32, 128), (32, 160), (64, 192)), 1):
            shapes |= convolutions((f"{dense}.conv{number}", outputs, seen))
    after = ("conv_body", "conv_up1", "conv_up2", "conv_hr")
    return shapes | convolutions(*((name, 64, 64) for name in after), ("conv_last", 3, 64))


def published_general_x4v3() -> dict[str, tuple[int, ...]]:
    """Of realesr-general-x4v3.pth."""
    shapes = convolutions(("body.0", 64, 3), *((f"body.{layer}", 64, 64) for layer in range(2, 66, 2)))
    shapes |= {f"body.{layer}.weight": (64,) for layer in range(1, 66, 2)}
    return shapes | convolutions(("body.66", 48, 64))


PUBLISHED = {
    "x4plus": (published_rrdbnet(3), 67_040_989),
    "x2plus": (published_rrdbnet(12), 67_061_725),
    "general-x4v3": (published_general_x4v3(), 4_885_111),
}
"""Names, shapes, and the size of the published file in bytes."""


@pytest.mark.parametrize(
    ("name", "make", "keys"),
    [
        ("x4plus", RRDBNet, {"scale": 4, "features": 64, "blocks": 23, "growth": 32}),
        ("x2plus", RRDBNet, {"scale": 2, "features": 64, "blocks": 23, "growth": 32}),
        ("general-x4v3", SRVGGNetCompact, {"scale": 4, "features": 64, "convolutions": 32}),
    ],
)
def test_names_and_shapes_are_as_published(name: str, make: type, keys: dict[str, int]) -> None:
    expected, file_bytes = PUBLISHED[name]
    with torch.device("meta"):
        network = make(**keys)
        found = make.shaped_like({key: torch.empty(shape) for key, shape in expected.items()})
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == expected
    assert {key: tuple(value.shape) for key, value in found.state_dict().items()} == expected
    assert found.scale == keys["scale"]
    values_bytes = 4 * sum(value.numel() for value in network.state_dict().values())
    print(f"{name}: {values_bytes // 4:,} parameters, {values_bytes:,} of the published file's {file_bytes:,} bytes")
    # Beside the values a file has its directory, some 350 bytes for each tensor.
    assert values_bytes < file_bytes < values_bytes + 400 * len(expected)


GOLDEN = {
    "x4plus": (4, [0.545274, 0.643995, 0.746311, 0.655167, 0.756294, 0.84171, 0.691915, 0.814805], 0.6117533),
    "x2plus": (2, [0.467113, 0.638394, 0.565099, 0.54196, 0.625334, 0.473191, 0.503051, 0.577296], 0.5397764),
    "general-x4v3": (4, [0.370956, 0.091879, 0.018409, 0.009725, 0.553837, 0.411693, 0.314548, 0.786268], 0.4922453),
}
"""Samples and mean of BasicSR 1.4.2's networks on the same weights and the same input."""


def checkpoint(name: str, folder: Path) -> Path:
    if name == "general-x4v3":
        return make_tiny_srvgg(folder)
    return make_tiny_rrdbnet(folder, f"RealESRGAN_{name}.pth", scale=2 if name == "x2plus" else 4)


@pytest.mark.parametrize("name", PUBLISHED)
def test_same_numbers_as_upstream(name: str, tmp_path: Path) -> None:
    large = load(checkpoint(name, tmp_path)).upscale(noise(12, 10))
    side, samples, mean = GOLDEN[name]
    assert large.shape == (12 * side, 10 * side, 3)
    assert large.dtype == np.float32
    print(f"{name}: differs from upstream by {np.abs(large.ravel()[:: large.size // 8][:8] - samples).max():.1e}")
    np.testing.assert_allclose(large.ravel()[:: large.size // 8][:8], samples, atol=1e-5)
    assert large.mean() == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("kept_as", ["params_ema", "params", None])
@pytest.mark.parametrize("make", [make_tiny_rrdbnet, make_tiny_srvgg])
def test_every_file_layout_gives_the_same_result(make, kept_as: str | None, tmp_path: Path) -> None:
    plain = load(make(tmp_path, "a.safetensors")).upscale(noise(8, 8))
    np.testing.assert_array_equal(load(make(tmp_path, "b.pth", kept_as=kept_as)).upscale(noise(8, 8)), plain)


def test_both_sets_in_one_file_in_the_old_format(tmp_path: Path) -> None:
    """The averaged set is taken; files older than PyTorch 1.6 are one pickle."""
    tensors = seeded(SRVGGNetCompact(scale=2, features=8, convolutions=2).state_dict())
    other = {name: value + 1 for name, value in tensors.items()}
    save(tensors, tmp_path / "plain.pth")
    torch.save({"params": other, "params_ema": tensors}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    made = [load(tmp_path / name).upscale(noise(8, 8)) for name in ("plain.pth", "old.pth")]
    np.testing.assert_array_equal(*made)


def test_a_folder_and_a_name(tmp_path: Path) -> None:
    make_tiny_srvgg(tmp_path, "small.pth", scale=2)
    config = RealEsrganConfig(model=str(tmp_path), file="small.pth", device="cpu")
    assert config.load(Resources()).scale == 2
    assert str(tmp_path.parent) not in config.card().model
    with pytest.raises(ModelUnavailable, match=r"no file named 'RealESRGAN_x4plus\.pth'") as error:
        load(tmp_path)
    assert str(tmp_path) not in error.value.message


@pytest.mark.parametrize(
    ("make", "keys", "exact"),
    [
        (make_tiny_srvgg, {"convolutions": 12}, True),
        (make_tiny_rrdbnet, {"blocks": 1}, True),
        (make_tiny_rrdbnet, {"blocks": 8, "features": 8}, False),
        (make_tiny_rrdbnet, {"blocks": 8, "features": 8, "scale": 2}, False),
    ],
)
def test_tiles_leave_no_seam(make, keys: dict[str, int], exact: bool, tmp_path: Path) -> None:
    """Enlarged in tiles or at once, an image is the same within a step of 8 bits; odd sizes too."""
    tiled = load(make(tmp_path, **keys), tile_px=32)
    whole = load(make(tmp_path, **keys), tile_px=2048)
    fine = data.coffee()[100:175, 150:233].astype(np.uint16) * 257
    parts, once = (enhance(DecodedImage(fine), resolver).pixels.astype(int) for resolver in (tiled, whole))
    worst = np.abs(parts - once).max() / 257
    print(
        f"{make.__name__} {keys}: overlap {tiled.overlap_px} px, differs by {worst:.3f}/255 "
        f"(standard deviation {once.std() / 257:.0f}/255)"
    )
    assert once.std() / 257 > 10
    assert worst <= (0.01 if exact else 1)
    tiled.overlap_px = 0
    assert np.abs(enhance(DecodedImage(fine), tiled).pixels.astype(int) - once).max() / 257 > 3


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (301, 1), (7, 5), (2, 2)])
@pytest.mark.parametrize("scale", [4, 2])
def test_any_size(scale: int, size: tuple[int, int], tmp_path: Path) -> None:
    large = load(make_tiny_rrdbnet(tmp_path, scale=scale, blocks=1)).upscale(noise(*size))
    assert large.shape == (size[0] * scale, size[1] * scale, 3)
    assert large.min() >= 0
    assert large.max() <= 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("make", [make_tiny_rrdbnet, make_tiny_srvgg])
def test_half_precision(make, dtype: str, tmp_path: Path) -> None:
    exact, half = (load(make(tmp_path), dtype=d).upscale(noise(16, 16)) for d in ("float32", dtype))
    assert half.dtype == np.float32
    worst = 255 * np.abs(exact - half).max()
    print(f"{make.__name__} in {dtype}: differs by {worst:.2f}/255")
    assert 0 < worst < (2 if dtype == "float16" else 12)


def test_overflow_is_reported(tmp_path: Path) -> None:
    tensors = {name: value * 400 for name, value in torch.load(make_tiny_srvgg(tmp_path, kept_as=None)).items()}
    path = save(tensors, tmp_path / "large.pth")
    assert np.isfinite(load(path).upscale(noise(8, 8))).all()
    with pytest.raises(ModelUnavailable, match="float32"):
        load(path, dtype="float16").upscale(noise(8, 8))


def test_same_image_same_result(tmp_path: Path) -> None:
    path = make_tiny_rrdbnet(tmp_path)
    np.testing.assert_array_equal(*(load(path).upscale(noise(9, 9)) for _ in range(2)))


def test_cancelled_between_tiles(tmp_path: Path) -> None:
    seen = []

    def progress(fraction: float | None, stage: str) -> None:
        seen.append(fraction)
        if fraction == 2 / 16:
            raise Cancelled("gone")

    resolver = load(make_tiny_srvgg(tmp_path), tile_px=32)
    with pytest.raises(Cancelled):
        enhance(DecodedImage(data.coffee()[:128, :128]), resolver, progress)
    assert sorted(set(seen)) == [0, 1 / 16, 2 / 16]
    assert seen.count(2 / 16) == 1, "nothing of the third tile is done"


class Evil:
    def __reduce__(self):
        return print, ("code in a checkpoint ran",)


def broken(path: Path) -> dict[str, object]:
    """What may be found in place of a checkpoint."""
    good = torch.load(path)["params"]
    fewer = {name: value for name, value in good.items() if name != "body.2.weight"}
    return {
        "empty": b"",
        "text": b"<html>404 Not Found</html>",
        "code": pickle.dumps(Evil(), protocol=2),
        "a list": [1, 2],
        "numbers": {"params": 3},
        "nested": {"params": {"body.0.weight": {"a": good["body.0.weight"]}}},
        "nothing": {},
        "one lacks": fewer,
        "one too many": good | {"extra.weight": torch.ones(3)},
        "another shape": good | {"body.2.weight": torch.ones(8, 9, 3, 3)},
        "no shape": good | {"body.0.weight": torch.tensor(1.0)},
        "odd outputs": good | {"body.10.weight": torch.ones(5, 8, 3, 3)},
        "another model": {"encoder.weight": torch.ones(2, 2)},
        "half an RRDBNet": {"conv_first.weight": torch.ones(8, 3, 3, 3)},
        "not RGB": {"conv_first.weight": torch.ones(8, 4, 3, 3), "body.0.rdb1.conv1.weight": torch.ones(4, 8, 3, 3)},
    }


def test_broken_checkpoints_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = make_tiny_srvgg(tmp_path)
    for kind, content in broken(good).items():
        for ending in (".pth", ".safetensors"):
            path = tmp_path / f"broken{ending}"
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif ending == ".pth":
                torch.save(content, path)
            else:
                continue
            with pytest.raises(ModelUnavailable, match="damaged, or of a model") as error:
                load(path)
            assert str(tmp_path) not in error.value.message, kind
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("ending", [".pth", ".old.pth", ".safetensors"])
def test_truncated_and_corrupted_files_are_reported(ending: str, tmp_path: Path) -> None:
    """Truncated anywhere, or with random bytes changed: either it is rejected, or only a weight has changed."""
    path = tmp_path / f"file{ending}"
    make_tiny_srvgg(tmp_path, path.name, features=2, convolutions=1, scale=2)
    if ending == ".old.pth":
        torch.save(torch.load(path), path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    numbers = np.random.RandomState(0)
    for cut in numbers.randint(0, len(whole), 40):
        path.write_bytes(whole[:cut])
        with pytest.raises(ModelUnavailable):
            load(path)
    rejected = 0
    for _ in range(120):
        changed = np.frombuffer(whole, np.uint8).copy()
        changed[numbers.randint(0, len(whole), 4)] = numbers.randint(0, 256, 4)
        path.write_bytes(changed.tobytes())
        try:
            load(path)
        except ModelUnavailable:
            rejected += 1
    print(f"{ending}: {rejected} of 120 corrupted files rejected")
    assert rejected > 20


def test_missing_weights_name_the_command() -> None:
    with pytest.raises(ModelUnavailable, match="make pull"):
        RealEsrganConfig(model="nobody/has-this", device="cpu").load(Resources())
    with pytest.raises(ModelUnavailable, match="does not exist"):
        RealEsrganConfig(model="/nowhere/x4.pth", device="cpu").load(Resources())


def test_configuration() -> None:
    config = TypeAdapter(Config).validate_python({"engine": "real-esrgan"})
    assert isinstance(config, RealEsrganConfig)
    card = config.card()
    assert (card.model, card.license) == ("nateraw/real-esrgan/RealESRGAN_x4plus.pth", "BSD-3-Clause")
    assert not card.embedded
    assert config.weights()[0].files == ("RealESRGAN_x4plus.pth",)
    assert "page" in RealEsrganConfig(model="some/one").card().license
    for wrong in ({"tile_px": 30}, {"tile_px": 33}, {"device": "tpu"}, {"quality": 3}):
        with pytest.raises(ValidationError):
            RealEsrganConfig.model_validate(wrong)


def test_importing_loads_no_library() -> None:
    code = "import sys, pipelines.super_resolution as s; assert s.RealEsrganConfig().card(); "
    code += "assert not {'cv2', 'torch', 'safetensors'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
