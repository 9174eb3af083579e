"""RIFE: names and shapes as published, numbers as upstream's, motion in pixels, files of every kind."""

import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from pydantic import TypeAdapter, ValidationError

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, ModelUnavailable
from pipelines.frame_interpolation import Config, RifeConfig
from pipelines.frame_interpolation.rife import engine as rife_engine
from pipelines.frame_interpolation.rife.ifnet import IFNet, Shape
from pipelines.frame_interpolation.stream import interpolate_stream
from tests.checkpoints.frame_interpolation import SHAPES, make_tiny_rife, save_flownet
from tests.checkpoints.super_resolution import seeded


def load(path, **keys):
    return RifeConfig(model=str(path), device="cpu", **keys).load(Resources())


def photo(width=128, height=128, name="coffee"):
    return cv2.resize(getattr(skimage.data, name)(), (width, height), interpolation=cv2.INTER_AREA)


def block(number, inputs, width, outputs):
    """Names and shapes of one block of a published `flownet.pkl`."""
    name = f"block{number}"
    shapes = {
        f"{name}.conv0.0.0.weight": (width // 2, inputs, 3, 3),
        f"{name}.conv0.0.0.bias": (width // 2,),
        f"{name}.conv0.1.0.weight": (width, width // 2, 3, 3),
        f"{name}.conv0.1.0.bias": (width,),
        f"{name}.lastconv.0.weight": (width, outputs, 4, 4),
        f"{name}.lastconv.0.bias": (outputs,),
    }
    for layer in range(8):
        shapes |= {
            f"{name}.convblock.{layer}.beta": (1, width, 1, 1),
            f"{name}.convblock.{layer}.conv.weight": (width, width, 3, 3),
            f"{name}.convblock.{layer}.conv.bias": (width,),
        }
    return shapes


def encode(width, outputs):
    """Names and shapes of `encode` in it."""
    shapes = {"encode.cnn0.weight": (width, 3, 3, 3), "encode.cnn0.bias": (width,)}
    for layer in (1, 2):
        shapes |= {f"encode.cnn{layer}.weight": (width, width, 3, 3), f"encode.cnn{layer}.bias": (width,)}
    return shapes | {"encode.cnn3.weight": (width, outputs, 4, 4), "encode.cnn3.bias": (outputs,)}


PUBLISHED = {
    "4.6": block(0, 7, 192, 24) | block(1, 12, 128, 24) | block(2, 12, 96, 24) | block(3, 12, 64, 24),
    "4.18": block(0, 23, 192, 24) | block(1, 28, 128, 24) | block(2, 28, 96, 24) | block(3, 28, 64, 24) | encode(32, 8),
    "4.22": block(0, 23, 256, 52) | block(1, 36, 192, 52) | block(2, 36, 96, 52) | block(3, 36, 48, 52) | encode(32, 8),
    "4.26": block(0, 15, 192, 52)
    | block(1, 28, 128, 52)
    | block(2, 28, 96, 52)
    | block(3, 28, 64, 52)
    | block(4, 28, 32, 52)
    | encode(16, 4),
}


@pytest.mark.parametrize("version", PUBLISHED)
def test_names_and_shapes_are_those_published(version):
    with torch.device("meta"):
        network = IFNet.shaped_like({name: torch.empty(shape) for name, shape in PUBLISHED[version].items()})
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == PUBLISHED[version]
    assert network.multiple(1) == (64 if version == "4.26" else 32)
    print(f"{version}: {sum(value.numel() for value in network.state_dict().values()):,} parameters")


def test_the_size_of_the_published_file():
    """flownet.pkl of RIFEv4.26_0921.zip has 24,636,301 bytes: these, and two networks that only the training needs."""
    used = sum(np.prod(shape) for shape in PUBLISHED["4.26"].values())
    teacher = sum(np.prod(shape) for shape in block(0, 31, 64, 52).values())
    caltime = 17 * 8 * 9 + 8 + 32 * 64 * 9 + 64 + 2 * (64 * 64 * 9 + 64) + 64 * 9 + 1
    assert 0 < 24_636_301 - 4 * (used + teacher + caltime) < 100_000


def waves(seed, height=128, width=128):
    """A smooth image that does not depend on any library's version, float32 (1, 3, height, width), 0 to 1."""
    numbers = np.random.RandomState(seed).random_sample((3, 6, 3))
    y, x = np.mgrid[:height, :width] / 128
    rows = [sum(a * np.sin(9 * b * x + 7 * c * y + 6 * a) for a, b, c in channel) for channel in numbers]
    return torch.from_numpy((0.5 + 0.12 * np.stack(rows)).clip(0, 1).astype(np.float32))[None]


GOLDEN = {
    ("4.6", 1.0): [0.532513, 0.477464, 0.616471, 0.443448, 0.46041, 0.43558, 0.339334, 0.463389],
    ("4.6", 0.5): [0.532921, 0.476552, 0.586663, 0.435709, 0.46915, 0.405732, 0.334138, 0.52297],
    ("4.18", 1.0): [0.532091, 0.473207, 0.587721, 0.439423, 0.471748, 0.452232, 0.318154, 0.483885],
    ("4.18", 0.5): [0.531165, 0.473601, 0.57736, 0.439868, 0.470797, 0.446559, 0.315447, 0.489258],
    ("4.22", 1.0): [0.532013, 0.471824, 0.575387, 0.437915, 0.472135, 0.453631, 0.313806, 0.476694],
    ("4.22", 0.5): [0.531188, 0.472062, 0.570799, 0.438043, 0.470114, 0.45623, 0.31347, 0.477916],
    ("4.26", 1.0): [0.530909, 0.471174, 0.574733, 0.438636, 0.474914, 0.463577, 0.309266, 0.479505],
    ("4.26", 0.5): [0.530082, 0.476065, 0.562034, 0.436802, 0.471547, 0.480096, 0.309363, 0.487012],
}
"""Samples of Practical-RIFE's networks on the same weights and frames, at 0.3, for `scale` 1 and 0.5."""


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("version", SHAPES)
def test_same_numbers_as_upstream(version, scale):
    network = IFNet(SHAPES[version])
    network.load_state_dict(seeded(network.state_dict()))
    with torch.inference_mode():
        made = network(waves(1), waves(2), 0.3, scale).numpy()
    samples = made.ravel()[:: made.size // 8][:8]
    worst = np.abs(samples - GOLDEN[version, scale]).max()
    average = (0.7 * waves(1) + 0.3 * waves(2)).numpy()
    moved = abs(made - average).max()
    print(f"{version} at {scale}: differs from upstream by {worst:.1e}, from the average by up to {moved:.2f}")
    assert worst < 1e-4
    assert moved > 0.1


@pytest.mark.parametrize("file", ["RIFEv4.26_0921.zip", "flownet.pkl", "flownet.safetensors"])
def test_every_file_gives_the_network(file, tmp_path):
    """Through `load`, and by the network itself on the padded frames: equal to the last bit."""
    before, after = photo(70, 50), photo(70, 50, "chelsea")
    (made,) = load(make_tiny_rife(tmp_path, file)).interpolate(before, after, [0.25], outer=(before, after))
    network = IFNet(SHAPES["4.26"])
    network.load_state_dict(seeded(network.state_dict()))
    padded = [np.pad(frame, ((0, 14), (0, 58), (0, 0)), mode="edge") for frame in (before, after)]
    planes = [torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255 for frame in padded]
    with torch.inference_mode():
        direct = network(*planes, 0.25)[0, :, :50, :70].permute(1, 2, 0).numpy()
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, np.rint(direct.clip(0, 1) * 255))


def still(folder, version="4.26", *, before=(0.0, 0.0), after=(0.0, 0.0), mask=0.0):
    """A checkpoint whose last block moves everything by a constant flow, in pixels across and down."""
    tensors = {name: torch.zeros_like(value) for name, value in IFNet(SHAPES[version]).state_dict().items()}
    last = len(SHAPES[version].widths) - 1
    channels = torch.zeros(SHAPES[version].outputs, 4)
    channels[:5] = torch.tensor((*before, *after, mask))[:, None]
    tensors[f"block{last}.lastconv.0.bias"] = channels.flatten()
    return save_flownet(tensors, folder / "flownet.pkl")


@pytest.mark.parametrize("version", SHAPES)
@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_flow_is_in_pixels_and_the_mask_chooses(version, scale, tmp_path):
    frame, other = photo(128, 96), photo(128, 96, "chelsea")
    unit = 1 / scale  # in which the last block counts
    path = still(tmp_path, version, before=(6 / unit, -4 / unit), mask=50.0)
    (made,) = load(path, scale=scale).interpolate(frame, other, [0.5], outer=(frame, other))
    np.testing.assert_allclose(made[8:-8, 8:-8].astype(int), frame[4:-12, 14:-2], atol=1)
    path = still(tmp_path, version, after=(0.5 / unit, 0), mask=-50.0)
    (made,) = load(path, scale=scale).interpolate(other, frame, [0.5], outer=(frame, other))
    between = (frame[:, :-1].astype(float) + frame[:, 1:]) / 2
    np.testing.assert_allclose(made[:, :-1], between, atol=1)
    (made,) = load(still(tmp_path, version)).interpolate(other, frame, [0.5], outer=(frame, other))
    np.testing.assert_allclose(made, (other.astype(float) + frame) / 2, atol=0.51)


def test_past_the_border_is_the_border(tmp_path):
    """Frames are padded with their own edge: no black comes in from where a frame ends."""
    frame = np.full((50, 70, 3), 200, np.uint8)
    (made,) = load(still(tmp_path, before=(40, 30), after=(-40, 30))).interpolate(
        frame, frame, [0.5], outer=(frame,) * 2
    )
    assert (made == 200).all()


def test_the_moment_counts(tmp_path):
    engine = load(make_tiny_rife(tmp_path))
    before, after = photo(), photo(name="chelsea")
    made = engine.interpolate(before, after, [0.1, 0.5, 0.9], outer=(before, after))
    assert len(made) == 3
    assert not np.array_equal(made[0], made[1])
    np.testing.assert_array_equal(engine.interpolate(before, after, [0.5], outer=(after, before))[0], made[1])


def test_large_frames_get_their_flow_at_half_the_size(tmp_path, monkeypatch):
    """At half the size a block's flow of one pixel means two."""
    engine = load(still(tmp_path, before=(4, 0), mask=50.0))
    frame = photo(128, 96)
    (small,) = engine.interpolate(frame, frame, [0.5], outer=(frame, frame))
    monkeypatch.setattr(rife_engine, "LARGE_PX", 128 * 96 - 1)
    (large,) = engine.interpolate(frame, frame, [0.5], outer=(frame, frame))
    np.testing.assert_allclose(small[:, :-4].astype(int), frame[:, 4:], atol=1)
    np.testing.assert_allclose(large[:, :-8].astype(int), frame[:, 8:], atol=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (301, 1), (7, 13), (65, 63)])
def test_any_size(size, tmp_path):
    frames = np.random.RandomState(0).randint(0, 256, (2, *size, 3), np.uint8)
    (made,) = load(make_tiny_rife(tmp_path)).interpolate(*frames, [0.5], outer=tuple(frames))
    assert (made.shape, made.dtype) == ((*size, 3), np.uint8)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype, tmp_path):
    path = make_tiny_rife(tmp_path)
    frames = photo(), photo(name="chelsea")
    exact, half = (
        load(path, dtype=d).interpolate(*frames, [0.5], outer=frames)[0].astype(int) for d in ("float32", dtype)
    )
    print(f"{dtype}: differs by {np.abs(exact - half).mean():.2f}/255 on average")
    assert 0 < np.abs(exact - half).mean() < (1 if dtype == "float16" else 4)


def test_overflow_is_reported(tmp_path):
    tensors = seeded(IFNet(SHAPES["4.26"]).state_dict())
    path = save_flownet({name: value * 1000 for name, value in tensors.items()}, tmp_path / "flownet.pkl")
    with pytest.raises(ModelUnavailable, match="float32"):
        load(path, dtype="float16").interpolate(photo(), photo(name="chelsea"), [0.5], outer=(photo(), photo()))


def test_in_a_stream_at_any_rate(tmp_path):
    """30 frames a second from 12: all that were there stay, the others are made; twice the same."""
    wide = photo(192, 96)
    frames = [wide[:64, 3 * i : 3 * i + 96] for i in range(6)]
    engine = load(make_tiny_rife(tmp_path))
    made = list(interpolate_stream(frames, engine, fps_in=Fraction(12), fps_out=Fraction(30)))
    assert len(made) == 15
    np.testing.assert_array_equal(made[::5], frames[::2])
    again = interpolate_stream(frames, load(tmp_path / "RIFEv4.26_0921.zip"), fps_in=Fraction(12), fps_out=Fraction(30))
    np.testing.assert_array_equal(made, list(again))


def test_cancelled_between_frames(tmp_path):
    def progress(fraction, stage):
        if fraction and fraction > 0.4:
            raise Cancelled("gone")

    wide = photo(192, 96)
    frames = (wide[:64, 3 * i : 3 * i + 96] for i in range(6))
    stream = interpolate_stream(
        frames, load(make_tiny_rife(tmp_path)), fps_in=Fraction(12), frame_count=6, progress=progress
    )
    with pytest.raises(Cancelled):
        list(stream)


def test_broken_checkpoints_are_reported(tmp_path):
    good = torch.load(make_tiny_rife(tmp_path, "flownet.pkl"))
    lite = IFNet(Shape((16, 12, 8, 8, 24), 4, 2, 13)).state_dict()
    for content in (
        {},
        [1],
        {name: value for name, value in good.items() if "block2" not in name},
        {name: value for name, value in good.items() if "cnn1" not in name},
        good | {"module.block1.lastconv.0.bias": torch.ones(3)},
        good | {"module.block0.lastconv.0.weight": torch.ones(3)},
        good | {"module.encode.cnn3.weight": torch.ones(1)},
        good | {"module.block0.more.weight": torch.ones(3)},
        {f"module.{name}": value for name, value in lite.items()},
    ):
        torch.save(content, tmp_path / "broken.pkl")
        with pytest.raises(ModelUnavailable, match="damaged, or of a model") as error:
            load(tmp_path / "broken.pkl")
        assert str(tmp_path) not in error.value.message


def test_broken_archives_are_reported(tmp_path):
    whole = make_tiny_rife(tmp_path).read_bytes()
    path = tmp_path / "broken.zip"
    for content in (b"", b"no archive", whole[: len(whole) // 2], whole[:2000] + bytes(2000) + whole[4000:]):
        path.write_bytes(content)
        with pytest.raises(ModelUnavailable, match="damaged"):
            load(path)
    for names in ([], ["a.pkl"], ["a/flownet.pkl", "b/flownet.pkl"]):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")
        with pytest.raises(ModelUnavailable, match="damaged"):
            load(path)


def test_configuration():
    config = TypeAdapter(Config).validate_python({"engine": "rife", "scale": 0.5})
    assert isinstance(config, RifeConfig)
    card = config.card()
    assert (card.model, card.license, card.embedded) == ("hzwer/RIFE/RIFEv4.26_0921.zip", "MIT", False)
    assert config.weights()[0].files == ("RIFEv4.26_0921.zip",)
    assert "page" in RifeConfig(model="some/one").card().license
    for wrong in ({"scale": 0.3}, {"scale": float("nan")}, {"device": "tpu"}, {"quality": 3}):
        with pytest.raises(ValidationError):
            RifeConfig.model_validate(wrong)
    with pytest.raises(ModelUnavailable, match="make pull"):
        RifeConfig(model="nobody/has-this", device="cpu").load(Resources())


def test_importing_loads_no_library():
    code = "import sys, pipelines.frame_interpolation as f; assert f.RifeConfig().card(); "
    code += "assert not {'cv2', 'torch', 'av'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
