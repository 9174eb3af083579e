"""BLIP, CLIP and SAM: tiny checkpoints of the real architectures against the library called directly."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from skimage import data

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, ModelUnavailable
from pipelines.contracts.progress import no_progress
from pipelines.image_understanding import Description, TransformersConfig, draw_masks
from pipelines.image_understanding.transformers.captioner import BEAMS, MAX_TOKENS, sentence
from pipelines.image_understanding.transformers.engine import TransformersUnderstander
from pipelines.image_understanding.transformers.segmenter import MAX_SEGMENTS
from pipelines.media import Rgb
from tests.checkpoints.image_understanding import make_tiny_blip, make_tiny_clip, make_tiny_sam

LABELS = ("Person", "Coffee", "Rocket", "Cat", "Forklift", "Fuel Pump")
PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "chelsea")
CHOICE = {"least_quality": 0.3, "least_stability": 0.75}
"""Masks of random weights are less certain and less stable than those of trained ones."""


@pytest.fixture(scope="module")
def folders(checkpoint: Callable[..., Path]) -> dict[str, Path]:
    return {
        "caption_model": checkpoint(make_tiny_blip),
        "class_model": checkpoint(make_tiny_clip),
        "segmentation_model": checkpoint(make_tiny_sam),
    }


def configured(folders: dict[str, Path], **options: object) -> TransformersConfig:
    models = {key: str(path) for key, path in folders.items()}
    return TransformersConfig(**{**models, "labels": LABELS, "points_per_side": 10, **CHOICE, **options})


@pytest.fixture(scope="module")
def understander(folders: dict[str, Path]) -> TransformersUnderstander:
    return configured(folders).load(Resources())


def photograph(name: str) -> Rgb:
    return np.asarray(getattr(data, name)())


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_captions_as_the_library_does(name: str, folders: dict, understander: TransformersUnderstander) -> None:
    from transformers import BlipForConditionalGeneration, BlipProcessor

    processor = BlipProcessor.from_pretrained(folders["caption_model"])
    model = BlipForConditionalGeneration.from_pretrained(folders["caption_model"]).eval()
    inputs = processor(images=photograph(name), return_tensors="pt")
    (tokens,) = model.generate(**inputs, num_beams=BEAMS, max_new_tokens=MAX_TOKENS, do_sample=False)
    caption = understander._captioner.caption(photograph(name), progress=no_progress)
    print(name, caption)
    assert processor.decode(tokens[:1]) == "[DEC]"
    assert len(tokens) > 4
    assert caption == sentence(processor.decode(tokens[1:], skip_special_tokens=True))


def test_captions_depend_on_the_image(understander: TransformersUnderstander) -> None:
    captions = {understander._captioner.caption(photograph(name), progress=no_progress) for name in PHOTOGRAPHS}
    assert len(captions) >= 3


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_classifies_as_the_library_does(name: str, folders: dict, understander: TransformersUnderstander) -> None:
    from transformers import CLIPModel, CLIPProcessor

    processor = CLIPProcessor.from_pretrained(folders["class_model"])
    model = CLIPModel.from_pretrained(folders["class_model"]).eval()
    texts = [f"a photo of a {label}." for label in LABELS]
    with torch.no_grad():
        outputs = model(**processor(text=texts, images=photograph(name), return_tensors="pt", padding=True))
    expected = outputs.logits_per_image.softmax(1)[0].numpy()
    found = understander._classifier.probabilities(photograph(name))
    print(name, dict(zip(LABELS, found.round(3).tolist(), strict=True)), "off by", np.abs(found - expected).max())
    assert found.max() - found.min() > 0.1
    assert np.abs(found - expected).max() < 1e-5


def test_many_labels_are_embedded_like_few(folders: dict, understander: TransformersUnderstander) -> None:
    many = tuple(f"Thing {number}" for number in range(70)) + LABELS
    found = (
        configured(folders, labels=many)
        .load(Resources())
        ._classifier.probabilities(photograph("coffee"))[-len(LABELS) :]
    )
    few = understander._classifier.probabilities(photograph("coffee"))
    assert np.abs(found / found.sum() - few).max() < 1e-5


def reference_masks(folder: Path, image: Rgb, per_side: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Logits (N, h, w), qualities (N,) and masks (N, H, W) of a grid of points, by the library."""
    from transformers import SamModel, SamProcessor

    processor = SamProcessor.from_pretrained(folder)
    model = SamModel.from_pretrained(folder).eval()
    rows, columns = image.shape[:2]
    places = (np.arange(per_side) + 0.5) / per_side
    points = [[[x * columns, y * rows]] for y in places for x in places]
    inputs = processor(image, input_points=[points], return_tensors="pt")
    down, across = inputs["reshaped_input_sizes"][0].tolist()
    exact = torch.tensor([[[x * across, y * down]] for y in places for x in places], dtype=torch.float64)
    assert (inputs.pop("input_points") - exact).abs().max() < 1e-9  # a remaining difference would be magnified
    with torch.no_grad():
        outputs = model(**inputs, input_points=exact[None])
    (masks,) = processor.post_process_masks(
        outputs.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"]
    )
    return outputs.pred_masks[0].flatten(0, 1), outputs.iou_scores.flatten(), masks.flatten(0, 1).numpy()


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_segments_as_the_library_does(name: str, folders: dict, understander: TransformersUnderstander) -> None:
    image = photograph(name)
    logits, qualities, masks = reference_masks(folders["segmentation_model"], image, 10)
    segmenter = understander._segmenter
    with torch.inference_mode():
        embedding, frame = segmenter._embed(image)
        answers = list(segmenter._answers(embedding, frame))
        found = torch.cat([each for _, each, _ in answers])
        enlarged = np.stack([frame.enlarge(each) for each in found])
    off = (found - logits).abs().max().item()
    print(name, "logits", round(logits.std().item(), 1), "standard deviation, off by", off)
    assert [len(each) for _, each, _ in answers] == [192, 108]
    assert off < 1e-4
    assert (torch.cat([each for _, _, each in answers]) - qualities).abs().max() < 1e-5
    assert (enlarged != masks).mean() < 1e-6
    kept = segmenter.segment(image, progress=no_progress)
    sure = masks[(qualities > CHOICE["least_quality"]).numpy()]
    assert 3 <= len(kept) <= MAX_SEGMENTS
    for mask in kept:
        assert min(int((mask != each).sum()) for each in sure) <= 2


def test_segments_differ_and_the_largest_come_first(understander: TransformersUnderstander) -> None:
    masks = understander._segmenter.segment(photograph("chelsea"), progress=no_progress)
    sizes = masks.sum(axis=(1, 2))
    assert masks.dtype == np.bool_
    assert masks.shape[1:] == (300, 451)
    assert (np.diff(sizes) <= 0).all()
    assert sizes.min() > 0
    flat = masks.reshape(len(masks), -1).astype(np.float32)
    common = flat @ flat.T
    shared = common / (sizes[:, None] + sizes - common)
    np.fill_diagonal(shared, 0)
    print(len(masks), "segments, the most similar share", shared.max())
    assert shared.max() < 0.75


def test_only_good_segments_are_reported(folders: dict, understander: TransformersUnderstander) -> None:
    image = photograph("coffee")
    count = len(understander._segmenter.segment(image, progress=no_progress))
    better = configured(folders, least_quality=0.8).load(Resources())._segmenter.segment(image, progress=no_progress)
    steadier = (
        configured(folders, least_stability=0.93).load(Resources())._segmenter.segment(image, progress=no_progress)
    )
    print("segments:", count, "better:", len(better), "more stable:", len(steadier))
    assert 0 < len(better) < count
    assert 0 < len(steadier) < count


def test_an_image_can_have_no_segments(folders: dict) -> None:
    image = photograph("coffee")
    found = configured(folders, least_stability=1.0).load(Resources()).describe(image)
    assert found.masks.shape == (0, *image.shape[:2])
    assert np.array_equal(draw_masks(image, found.masks), image)


def test_classes_are_chosen_by_probability(folders: dict, understander: TransformersUnderstander) -> None:
    image = photograph("rocket")
    probabilities = understander._classifier.probabilities(image)
    ranked = [LABELS[number] for number in np.argsort(-probabilities)]
    for least in (0.0, 0.05, 1.0):
        classes = configured(folders, least_probability=least).load(Resources()).describe(image).classes
        assert list(classes) == ranked[: min(5, max(1, int((probabilities >= least).sum())))]
    assert configured(folders, most_classes=2, least_probability=0).load(Resources()).describe(image).classes == tuple(
        ranked[:2]
    )


def same(one: Description, other: Description) -> bool:
    return (one.caption, one.classes) == (other.caption, other.classes) and np.array_equal(one.masks, other.masks)


def test_reports_progress_and_embeds_the_image_once(understander: TransformersUnderstander) -> None:
    reports: list[tuple[float | None, str]] = []
    looks = []
    hook = understander._segmenter._model.vision_encoder.register_forward_hook(lambda *_: looks.append(1))
    try:
        understander.describe(photograph("coffee"), progress=lambda done, stage: reports.append((done, stage)))
    finally:
        hook.remove()
    done = [fraction for fraction, _ in reports]
    assert list(dict.fromkeys(stage for _, stage in reports)) == ["captioning", "classifying", "segmenting"]
    assert sum(stage == "captioning" for _, stage in reports) > 4
    assert sum(stage == "segmenting" for _, stage in reports) == 4
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 1)
    assert len(looks) == 1


@pytest.mark.parametrize(
    ("stage", "calls"), [("captioning", 1), ("captioning", 3), ("classifying", 1), ("segmenting", 3)]
)
def test_works_again_after_a_cancellation_at_any_stage(
    stage: str, calls: int, understander: TransformersUnderstander
) -> None:
    image = photograph("chelsea")
    before = understander.describe(image)
    seen = 0

    def leave(fraction: float | None, now: str, /) -> None:
        nonlocal seen
        seen += now == stage
        if seen == calls:
            raise Cancelled("the caller went away")

    with pytest.raises(Cancelled):
        understander.describe(image, progress=leave)
    assert same(understander.describe(image), before)


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (200, 1), (3, 7), (1, 3), (33, 65)])
def test_any_size(size: tuple[int, int], understander: TransformersUnderstander) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    found = understander.describe(image)
    assert found.classes
    assert found.masks.shape[1:] == size
    assert draw_masks(image, found.masks).shape == image.shape


def test_half_precision_runs(folders: dict) -> None:
    found = configured(folders, dtype="bfloat16").load(Resources()).describe(photograph("coffee"))
    assert found.caption
    assert len(found.masks)


def test_reads_tensors_in_torch_s_own_format(folders: dict, tmp_path: Path) -> None:
    pickled = make_tiny_blip(tmp_path / "blip", pickled=True)
    image = photograph("coffee")
    ours, same_weights = (
        configured({**folders, "caption_model": folder})
        .load(Resources())
        ._captioner.caption(image, progress=no_progress)
        for folder in (pickled, folders["caption_model"])
    )
    assert ours == same_weights


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


def test_code_in_weights_is_not_run(folders: dict, tmp_path: Path) -> None:
    folder = shutil.copytree(folders["caption_model"], tmp_path / "hostile")
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Hostile(tmp_path / "trace")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="hostile"):
        configured({**folders, "caption_model": folder}).load(Resources())
    assert not (tmp_path / "trace").exists()


def truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def one_tensor_less(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors.pop(next(name for name in sorted(tensors) if "proj" in name))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def without(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names]


@pytest.mark.parametrize("key", ["caption_model", "class_model", "segmentation_model"])
@pytest.mark.parametrize(
    "change",
    [
        *(without(name) for name in ("config.json", "preprocessor_config.json", "model.safetensors")),
        *(truncated, one_tensor_less),
    ],
    ids=["no-config", "no-preprocessor", "no-weights", "truncated", "one-tensor-less"],
)
def test_unreadable_models_are_reported(
    change: Callable[[Path], None], key: str, folders: dict, tmp_path: Path
) -> None:
    broken = shutil.copytree(folders[key], tmp_path / "broken")
    change(broken)
    with pytest.raises(ModelUnavailable, match="broken") as rejected:
        configured({**folders, key: broken}).load(Resources())
    assert str(tmp_path) not in rejected.value.message


@pytest.mark.parametrize("key", ["caption_model", "class_model"])
def test_a_model_without_its_vocabulary_is_rejected(key: str, folders: dict, tmp_path: Path) -> None:
    broken = shutil.copytree(folders[key], tmp_path / "broken")
    without("tokenizer.json", "vocab.txt", "vocab.json")(broken)
    with pytest.raises(ModelUnavailable, match="broken"):
        configured({**folders, key: broken}).load(Resources())


def test_a_model_of_another_kind_is_rejected(folders: dict) -> None:
    with pytest.raises(ModelUnavailable, match="clip"):
        configured({**folders, "segmentation_model": folders["class_model"]}).load(Resources())
    with pytest.raises(ModelUnavailable, match="sam"):
        configured({**folders, "class_model": folders["segmentation_model"]}).load(Resources())


def test_a_missing_model_names_the_command_that_fetches_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailable, match=r"blip-image-captioning-base.*make pull"):
        TransformersConfig().load(Resources())


@pytest.mark.parametrize(
    "options",
    [{"labels": ()}, {"labels": ("Cat", " ")}, {"prompt": "a photo"}, {"points_per_side": 0}, {"most_classes": 0}],
)
def test_invalid_configurations_are_rejected(options: dict) -> None:
    with pytest.raises(ValidationError):
        TransformersConfig(**options)


def test_the_defaults_are_free_for_commercial_use_and_fetch_no_more_than_is_read() -> None:
    from fnmatch import fnmatch

    config = TransformersConfig()
    assert config.card().license == "BSD-3-Clause AND MIT AND Apache-2.0"
    assert not config.card().embedded
    assert {"Forklift", "Fuel Pump", "Person"} <= set(config.labels)
    assert len(config.labels) == len({label.lower() for label in config.labels}) >= 100
    own = TransformersConfig(segmentation_model="someone/sam").card()
    assert own.license == "see the models' pages"
    for weights, pickled in zip(config.weights(), (True, True, False), strict=True):
        published = {"config.json": True, "tokenizer.json": True, "vocab.txt": True, "model.safetensors": True}
        published |= {"pytorch_model.bin": pickled, "tf_model.h5": False, "flax_model.msgpack": False}
        assert {name: any(fnmatch(name, each) for each in weights.files) for name in published} == published


def test_importing_loads_no_library() -> None:
    code = (
        "import importlib, sys, pipelines.image_understanding as p\n"
        "for m in ('captioner', 'classifier', 'engine', 'labels', 'segmenter'):\n"
        "    importlib.import_module(f'{p.__name__}.transformers.{m}')\n"
        "print(sorted({'cv2', 'supervision', 'torch', 'transformers', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
