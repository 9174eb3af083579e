"""Diffusion models: tiny checkpoints of the real architectures, against the diffusers library called directly."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput, ModelUnavailable
from pipelines.image_generation import DiffusersConfig, ImageRequest
from pipelines.image_generation.diffusers import DiffusionPainter
from pipelines.media import Rgb
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


@pytest.fixture(scope="module")
def folder(checkpoint: Callable[..., Path]) -> Callable[[str], Path]:
    return lambda kind: checkpoint(KINDS[kind])


@pytest.fixture(scope="module")
def painter(folder: Callable[[str], Path]) -> Callable[[str], DiffusionPainter]:
    loaded: dict[str, DiffusionPainter] = {}

    def load(kind: str) -> DiffusionPainter:
        if kind not in loaded:
            loaded[kind] = DiffusersConfig(model=str(folder(kind)), steps=2, max_batch=2).load(Resources())
        return loaded[kind]

    return load


def request(prompt: str = "a pig", seed: int = 1, width: int = 64, height: int = 64) -> ImageRequest:
    return ImageRequest(prompt, width, height, seed)


def farthest(one: Rgb, other: Rgb) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("kind", KINDS)
def test_paints_what_the_library_paints(kind: str, folder: Callable, painter: Callable) -> None:
    from diffusers import DiffusionPipeline

    reference = DiffusionPipeline.from_pretrained(folder(kind), local_files_only=True)
    seeds = (3, 2**63 - 1)
    output = reference(
        prompt=["a pig", "two red cars"],
        width=96,
        height=64,
        num_inference_steps=2,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        output_type="pil",
    )
    made = painter(kind).generate([request("a pig", seeds[0], 96), request("two red cars", seeds[1], 96)])
    apart = [farthest(ours, np.asarray(theirs)) for ours, theirs in zip(made, output.images, strict=True)]
    print(kind, "farthest from the library, of 255:", apart, "spread:", [int(each.std()) for each in made])
    assert max(apart) <= 1
    assert min(each.std() for each in made) > 10
    assert farthest(made[0], made[1]) > 20


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_image_alone_or_in_a_batch(kind: str, painter: Callable) -> None:
    requests = [request("a pig", 7), request("two red cars under a blue sky " * 3, 8), request("a pig", 9)]
    together = painter(kind).generate(requests)
    alone = [painter(kind).generate([each])[0] for each in reversed(requests)][::-1]
    apart = [farthest(one, other) for one, other in zip(together, alone, strict=True)]
    print(kind, "alone or in a batch, of 255:", apart)
    assert max(apart) <= 1
    assert farthest(together[0], together[2]) > 20


def test_any_size_in_one_call(painter: Callable) -> None:
    sizes = [(64, 64), (65, 67), (64, 200), (131, 64), (65, 67), (65, 67)]
    requests = [request(width=width, height=height, seed=index) for index, (width, height) in enumerate(sizes)]
    made = painter("stable-diffusion").generate(requests)
    assert [(each.shape, each.dtype) for each in made] == [((h, w, 3), np.uint8) for w, h in sizes]
    assert farthest(made[4], painter("stable-diffusion").generate(requests[4:5])[0]) <= 1


def test_too_large_images_are_drawn_smaller_and_enlarged(folder: Callable) -> None:
    from PIL import Image

    options = {"model": str(folder("stable-diffusion")), "steps": 1}
    small = DiffusersConfig(**options).load(Resources()).generate([request(width=128, height=64)])[0]
    large = DiffusersConfig(**options, largest_px=128).load(Resources()).generate([request(width=512, height=256)])[0]
    shrunk = np.asarray(Image.fromarray(large).resize((128, 64), Image.Resampling.BOX))
    assert large.shape == (256, 512, 3)
    assert np.abs(shrunk.astype(int) - small).mean() < 12 < np.abs(shrunk[::-1].astype(int) - small).mean()


def test_progress_reports_the_steps_of_every_batch(painter: Callable) -> None:
    reported: list[tuple[float, str]] = []
    painter("latent-consistency").generate(
        [request(seed=seed) for seed in range(4)], progress=lambda done, stage: reported.append((done, stage))
    )
    assert [round(done, 3) for done, _ in reported] == [0, 0.167, 0.333, 0.667, 0.833]
    assert {stage for _, stage in reported} == {"denoising"}


@pytest.mark.parametrize("kind", KINDS)
def test_cancelling_stops_at_the_next_step_and_leaves_the_painter_whole(kind: str, painter: Callable) -> None:
    before = painter(kind).generate([request()])[0]
    reported: list[float] = []

    def leave(done: float | None, _stage: str, /) -> None:
        reported.append(done)
        if done:
            raise Cancelled("gone")

    with pytest.raises(Cancelled):
        painter(kind).generate([request(seed=5), request(seed=6)], progress=leave)
    assert reported == [0, pytest.approx(1 / 3)]
    assert np.array_equal(painter(kind).generate([request()])[0], before)


def test_a_bad_request_fails_alone(painter: Callable) -> None:
    requests = [request(), request(prompt=" \n"), request("p" * 4001), request(width=63), request(height=2049)]
    made = painter("stable-diffusion").generate([*requests, request(seed=2)])
    assert [getattr(each, "param", None) for each in made] == [None, "prompt", "prompt", "size", "size", None]
    assert painter("stable-diffusion").generate(requests[1:2])[0].message
    assert painter("stable-diffusion").generate([]) == []


@pytest.mark.parametrize("prompt", ["\ud800 pig", "\x00", "猪" * 4000, "<|endoftext|>", "<|im_end|>", "a" * 4000])
@pytest.mark.parametrize("kind", ["stable-diffusion", "flux2-klein"])
def test_odd_prompts_are_painted(kind: str, prompt: str, painter: Callable) -> None:
    assert painter(kind).generate([request(prompt)])[0].shape == (64, 64, 3)


def test_a_flagged_image_fails_alone(tmp_path: Path) -> None:
    """The tiny checker flags what is beyond the middle between two images' features."""
    model = make_tiny_stable_diffusion(tmp_path / "model", flags=2.0)
    config = DiffusersConfig(model=str(model), steps=2)
    painter = config.load(Resources())
    checker = painter._pipeline.safety_checker
    seen: list[float] = []
    hook = checker.vision_model.register_forward_hook(
        lambda _module, _inputs, output: seen.extend(
            torch.cosine_similarity(checker.visual_projection(output[1]), checker.concept_embeds[:1]).tolist()
        )
    )
    requests = [request("a pig", 1), request("a cow", 2)]
    plain = painter.generate(requests)
    hook.remove()
    assert all(isinstance(each, np.ndarray) for each in plain)
    with torch.no_grad():
        checker.concept_embeds_weights[0] = sum(seen) / 2
    made = painter.generate(requests)
    first = seen[0] > seen[1]
    flagged, kept = (made[0], made[1]) if first else (made[1], made[0])
    assert isinstance(flagged, InvalidInput)
    assert "safety" in flagged.message
    assert np.array_equal(kept, plain[1] if first else plain[0])


def damaged(change: Callable[[Path], object], source: Path, target: Path) -> str:
    shutil.copytree(source, target)
    change(target)
    return str(target)


def as_pickle(model: Path) -> None:
    from safetensors.torch import load_file

    source = model / "text_encoder" / "model.safetensors"
    torch.save(load_file(source), source.with_name("pytorch_model.bin"))
    source.unlink()


def edit_index(old: str, new: str) -> Callable[[Path], object]:
    def edit(model: Path) -> None:
        path = model / "model_index.json"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return edit


def with_own_code(model: Path) -> None:
    edit_index('"diffusers",\n    "UNet2DConditionModel"', '"my_unet",\n    "UNet2DConditionModel"')(model)
    (model / "unet" / "my_unet.py").write_text("raise SystemExit('code of the checkpoint was run')\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda model: (model / "model_index.json").unlink(),
        lambda model: (model / "model_index.json").write_text("{"),
        lambda model: (model / "unet" / "diffusion_pytorch_model.safetensors").unlink(),
        lambda model: (model / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"\x00" * 100),
        lambda model: shutil.rmtree(model / "tokenizer"),
        lambda model: (model / "tokenizer" / "tokenizer.json").unlink(),
        lambda model: shutil.rmtree(model / "scheduler"),
        as_pickle,
        edit_index("StableDiffusionPipeline", "StableVideoDiffusionPipeline"),
        edit_index("StableDiffusionPipeline", "NoSuchPipeline"),
        with_own_code,
    ],
    ids=[
        *("no-index", "bad-index", "no-unet", "bad-vae", "no-tokenizer", "no-words", "no-scheduler"),
        *("pickle", "video", "unknown", "own-code"),
    ],
)
def test_unloadable_models_are_refused(change: Callable, folder: Callable, tmp_path: Path) -> None:
    model = damaged(change, folder("stable-diffusion"), tmp_path / "broken")
    with pytest.raises(ModelUnavailable) as refused:
        DiffusersConfig(model=model).load(Resources())
    assert "broken" in refused.value.message
    assert str(tmp_path) not in refused.value.message


def test_a_missing_model_names_the_command_that_fetches_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailable, match=r"FLUX\.2-klein-4B.*make pull"):
        DiffusersConfig().load(Resources())


def test_options_that_the_model_does_not_take_are_refused(folder: Callable) -> None:
    with pytest.raises(ModelUnavailable, match="negative_prompt"):
        DiffusersConfig(model=str(folder("flux2-klein")), negative_prompt="blur").load(Resources())


def test_a_negative_prompt_and_guidance_change_the_image(folder: Callable, painter: Callable) -> None:
    model = str(folder("stable-diffusion"))
    plain = painter("stable-diffusion").generate([request()])[0]
    for options in ({"negative_prompt": "a very dark forest"}, {"guidance_scale": 1.0}):
        other = DiffusersConfig(model=model, steps=2, **options).load(Resources()).generate([request()])[0]
        assert not np.array_equal(other, plain)


def test_the_default_is_free_for_commercial_use_and_fetches_safetensors_only() -> None:
    from fnmatch import fnmatch

    config = DiffusersConfig()
    assert config.card().license == "Apache-2.0"
    assert not config.card().embedded
    (weights,) = config.weights()
    published = {
        "model_index.json": True,
        "scheduler/scheduler_config.json": True,
        "text_encoder/model-00001-of-00002.safetensors": True,
        "text_encoder/model.safetensors.index.json": True,
        "tokenizer/merges.txt": True,
        "tokenizer/chat_template.jinja": True,
        "tokenizer_2/spiece.model": True,
        "unet/diffusion_pytorch_model.safetensors": True,
        "unet/diffusion_pytorch_model.fp16.safetensors": False,
        "text_encoder/model-00001-of-00002.fp16.safetensors": False,
        "text_encoder/pytorch_model.bin": False,
        "flux-2-klein-4b.safetensors": False,
        "lcm_pipeline.py": False,
        "unet/my_unet.py": False,
    }
    assert {name: any(fnmatch(name, each) for each in weights.files) for name in published} == published
