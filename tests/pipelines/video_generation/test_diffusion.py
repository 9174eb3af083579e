"""Image-to-video diffusion: tiny checkpoints of the real architectures, against the library called directly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput, ModelUnavailable, UnsupportedByEngine
from pipelines.media import Rgb
from pipelines.video_generation import DiffusersConfig, VideoRequest
from pipelines.video_generation.diffusers.animator import DiffusionAnimator
from tests.checkpoints.video_generation import make_tiny_stable_video_diffusion, make_tiny_wan

KINDS = {"svd": make_tiny_stable_video_diffusion, "wan": make_tiny_wan}


@pytest.fixture(scope="module")
def folder(checkpoint: Callable[..., Path]) -> Callable[[str], Path]:
    return lambda kind: checkpoint(KINDS[kind])


@pytest.fixture(scope="module")
def animator(folder: Callable[[str], Path]) -> Callable[[str], DiffusionAnimator]:
    loaded: dict[str, DiffusionAnimator] = {}

    def load(kind: str) -> DiffusionAnimator:
        if kind not in loaded:
            config = DiffusersConfig(
                model=str(folder(kind)), steps=2, pixels=96 * 64, decode_frames=4, prompt="it rains"
            )
            loaded[kind] = config.load(Resources())
        return loaded[kind]

    return load


@pytest.fixture(scope="module")
def image() -> Rgb:
    """Of the shape of the videos."""
    down, across = np.mgrid[:64, :96]
    return np.stack([across * 2, down * 3, 255 - across - down], -1).astype(np.uint8)


def test_stable_video_diffusion_gives_the_frames_of_the_library(
    folder: Callable, animator: Callable, image: Rgb
) -> None:
    from diffusers import StableVideoDiffusionPipeline

    reference = StableVideoDiffusionPipeline.from_pretrained(folder("svd"), local_files_only=True)
    options = {"width": 96, "height": 64, "num_inference_steps": 2, "decode_chunk_size": 4, "output_type": "np"}
    generator = torch.Generator().manual_seed(5)
    expected = reference(
        Image.fromarray(image), **options, num_frames=5, fps=12, motion_bucket_id=253, generator=generator
    ).frames[0]
    clip = animator("svd").generate(image, VideoRequest(frames=5, fps=12, motion=1, seed=5))
    frames = list(clip.frames)
    apart = max(np.abs(one - other * 255).max() for one, other in zip(frames, expected, strict=True))
    print("farthest from the library, of 255:", apart, "spread:", frames[0].std())
    assert apart <= 1
    assert (clip.count, clip.fps, clip.width, clip.height) == (5, 12, 96, 64)
    assert {(each.shape, each.dtype) for each in frames} == {((64, 96, 3), np.dtype(np.uint8))}
    assert np.std(frames) > 10


@pytest.mark.parametrize(
    ("requested", "followed"), [(None, "it rains"), ("the wind blows", "the wind blows")], ids=["configured", "own"]
)
def test_wan_gives_the_frames_of_the_library(
    requested: str | None, followed: str, folder: Callable, animator: Callable, image: Rgb
) -> None:
    from diffusers import WanImageToVideoPipeline

    reference = WanImageToVideoPipeline.from_pretrained(folder("wan"), local_files_only=True)
    expected = reference(
        Image.fromarray(image),
        followed,
        width=96,
        height=64,
        num_frames=9,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
    ).frames[0]
    clip = animator("wan").generate(image, VideoRequest(frames=11, prompt=requested, seed=5))
    frames = list(clip.frames)
    apart = max(np.abs(one - other * 255).max() for one, other in zip(frames, expected, strict=True))
    print("farthest from the library, of 255:", apart, "spread:", frames[0].std())
    assert apart <= 1
    assert (clip.count, clip.fps, clip.width, clip.height) == (9, 24, 96, 64)
    assert np.std(frames) > 5


def test_wan_follows_the_prompt_and_the_seed(animator: Callable, image: Rgb) -> None:
    def last(**options: object) -> bytes:
        *_, frame = animator("wan").generate(image, VideoRequest(frames=5, **options)).frames
        return frame.tobytes()

    assert last(prompt="it rains", seed=0) == last()
    assert len({last(), last(prompt="the wind blows"), last(seed=1)}) == 3


def test_defaults_are_those_of_the_model(animator: Callable, image: Rgb) -> None:
    clip = animator("svd").generate(image, VideoRequest())
    assert (clip.count, clip.fps) == (6, 7)
    assert len(list(clip.frames)) == 6


def test_motion_fps_and_seed_each_change_the_video_and_nothing_else_does(animator: Callable, image: Rgb) -> None:
    def first(**options: float) -> bytes:
        return next(iter(animator("svd").generate(image, VideoRequest(frames=2, **options)).frames)).tobytes()

    plain = first()
    assert first(motion=0.5, fps=7, seed=0) == plain
    assert len({plain, first(motion=0.0), first(motion=1.0), first(fps=20), first(seed=1)}) == 5


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (96, 64, (96, 64)),
        (640, 960, (64, 96)),
        (500, 500, (80, 80)),
        (1, 1, (80, 80)),
        (5000, 1, (96, 64)),
        (1, 5000, (64, 96)),
        (333, 77, (96, 64)),
    ],
)
def test_the_video_has_the_shape_of_the_image(
    width: int, height: int, size: tuple[int, int], animator: Callable
) -> None:
    clip = animator("svd").generate(np.full((height, width, 3), 90, np.uint8), VideoRequest(frames=2))
    assert (clip.width, clip.height) == size
    assert next(iter(clip.frames)).shape == (*size[::-1], 3)


@pytest.mark.parametrize(
    ("kind", "multiple_px", "shape", "size"),
    [
        ("svd", 64, 16 / 9, (1024, 576)),
        ("svd", 64, 4 / 3, (896, 640)),
        ("svd", 64, 1, (768, 768)),
        ("svd", 64, 2 / 3, (640, 896)),
        ("wan", 32, 16 / 9, (1280, 704)),
        ("wan", 32, 1, (928, 960)),
        ("wan", 32, 9 / 16, (704, 1280)),
    ],
)
def test_sizes_at_the_published_scale(
    kind: str, multiple_px: int, shape: float, size: tuple[int, int], folder: Callable
) -> None:
    animator = DiffusersConfig(model=str(folder(kind))).load(Resources())
    animator._traits = replace(animator._traits, multiple_px=multiple_px)
    assert animator._fitted(np.zeros((600, round(600 * shape), 3), np.uint8)).size == size


def test_the_image_is_cut_not_squeezed(animator: Callable) -> None:
    """A disc of a tall image stays a disc."""
    down, across = np.mgrid[:1200, :400]
    disc = ((down - 600) ** 2 + (across - 200) ** 2 < 150**2)[..., None] * np.full(3, 255, np.uint8)
    fitted = np.asarray(animator("svd")._fitted(disc.astype(np.uint8)))
    mask = fitted[..., 0] > 127
    wide, tall = np.ptp(np.nonzero(mask.any(0))[0]) + 1, np.ptp(np.nonzero(mask.any(1))[0]) + 1
    assert abs(wide - tall) <= 2


@pytest.mark.parametrize(
    ("kind", "options", "name"),
    [
        ("svd", {"frames": 7}, "frames"),
        ("svd", {"frames": 1}, "frames"),
        ("svd", {"fps": 31}, "fps"),
        ("svd", {"fps": float("nan")}, "fps"),
        ("svd", {"motion": 1.1}, "motion"),
        ("svd", {"motion": float("nan")}, "motion"),
        ("wan", {"frames": 4}, "frames"),
        ("wan", {"frames": 122}, "frames"),
    ],
)
def test_options_outside_the_range_of_the_model_are_refused(
    kind: str, options: dict[str, float], name: str, animator: Callable, image: Rgb
) -> None:
    with pytest.raises(InvalidInput) as refused:
        animator(kind).generate(image, VideoRequest(**options))
    assert (refused.value.code, refused.value.param) == ("invalid_parameter", name)


@pytest.mark.parametrize(("kind", "options"), [("svd", {"prompt": "it rains"}), ("wan", {"motion": 0.5})])
def test_what_the_model_does_not_know_is_refused(
    kind: str, options: dict[str, object], animator: Callable, image: Rgb
) -> None:
    with pytest.raises(UnsupportedByEngine) as refused:
        animator(kind).generate(image, VideoRequest(**options))
    assert (refused.value.code, [refused.value.param]) == ("unsupported_by_engine", list(options))


def test_progress_reports_steps_and_decoding(animator: Callable, image: Rgb) -> None:
    reported: list[tuple[float, str]] = []
    clip = animator("svd").generate(
        image, VideoRequest(), progress=lambda done, stage: reported.append((round(done, 2), stage))
    )
    assert reported == [(0, "denoising"), (0.33, "denoising"), (0.67, "denoising")]
    list(clip.frames)
    assert reported[3:] == [(0, "decoding"), (0.67, "decoding")]


def test_progress_of_wan_reports_each_part_that_is_decoded(animator: Callable, image: Rgb) -> None:
    reported: list[tuple[float, str]] = []
    animator("wan").generate(
        image, VideoRequest(frames=13), progress=lambda done, stage: reported.append((round(done, 2), stage))
    )
    assert reported[:3] == [(0, "denoising"), (0.33, "denoising"), (0.67, "denoising")]
    assert reported[3:] == [(0, "decoding"), (0.25, "decoding"), (0.5, "decoding"), (0.75, "decoding")]


@pytest.mark.parametrize(("kind", "frames"), [("svd", 6), ("wan", 9)])
@pytest.mark.parametrize("leave_at", ["denoising", "decoding"])
def test_cancelling_stops_and_leaves_the_animator_whole(
    leave_at: str, kind: str, frames: int, animator: Callable, image: Rgb
) -> None:
    request = VideoRequest(frames=frames, seed=3)
    before = list(animator(kind).generate(image, request).frames)
    calls = []

    def leave(done: float | None, stage: str, /) -> None:
        calls.append(stage)
        if stage == leave_at and done:
            raise Cancelled("gone")

    with pytest.raises(Cancelled):
        list(animator(kind).generate(image, request, progress=leave).frames)
    assert calls[-1] == leave_at
    assert calls.count(leave_at) == 2
    assert np.array_equal(list(animator(kind).generate(image, request).frames), before)


def test_other_kinds_and_missing_weights_are_refused(
    folder: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelUnavailable, match="no GPU"):
        DiffusersConfig(model=str(folder("svd")), device="cpu", offload="model").load(Resources())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(ModelUnavailable, match="other is not a Wan or Stable Video Diffusion"):
        DiffusersConfig(model=str(tmp_path / "other")).load(Resources())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="make pull"):
        DiffusersConfig().load(Resources())


def test_the_default_is_free_and_the_card_states_the_terms_of_the_others() -> None:
    free = DiffusersConfig().card()
    assert (free.model, free.license) == ("Wan-AI/Wan2.2-TI2V-5B-Diffusers", "Apache-2.0")
    assert "license" not in free.description
    restricted = DiffusersConfig(model="stabilityai/stable-video-diffusion-img2vid-xt").card()
    assert "Commercial use needs a license" in restricted.description
