"""Captions, classes and segments: tiny checkpoints of the real architectures against the library called directly."""

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
from pipelines.image_understanding.transformers import blip, qwen3_vl
from pipelines.image_understanding.transformers.captioner import sentence
from pipelines.image_understanding.transformers.engine import TransformersUnderstander
from pipelines.image_understanding.transformers.segmenter import MAX_SEGMENTS
from pipelines.media import Rgb
from tests.checkpoints.image_understanding import (
    make_tiny_blip,
    make_tiny_clip,
    make_tiny_qwen3_vl,
    make_tiny_sam,
    make_tiny_sam2,
    make_tiny_siglip2,
    make_tiny_siglip2_naflex,
)
from tests.torchvision import imported

LABELS = ("Person", "Coffee", "Rocket", "Cat", "Forklift", "Fuel Pump")
PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "chelsea")
CHOICE = {"least_quality": 0.3, "least_stability": 0.75}
"""Masks of random weights are less certain and less stable than those of trained ones."""


FAMILIES = {
    "present": (make_tiny_qwen3_vl, make_tiny_siglip2, make_tiny_sam2),
    "first": (make_tiny_blip, make_tiny_clip, make_tiny_sam),
}
KEYS = ("caption_model", "class_model", "segmentation_model")


@pytest.fixture(scope="module", params=FAMILIES)
def folders(request: pytest.FixtureRequest, checkpoint: Callable[..., Path]) -> dict[str, Path]:
    return {key: checkpoint(maker) for key, maker in zip(KEYS, FAMILIES[request.param], strict=True)}


@pytest.fixture(scope="module")
def present(checkpoint: Callable[..., Path]) -> dict[str, Path]:
    """For what does not depend on the families."""
    return {key: checkpoint(maker) for key, maker in zip(KEYS, FAMILIES["present"], strict=True)}


def configured(folders: dict[str, Path], **options: object) -> TransformersConfig:
    models = {key: str(path) for key, path in folders.items()}
    return TransformersConfig(**{**models, "labels": LABELS, "points_per_side": 10, **CHOICE, **options})


@pytest.fixture(scope="module")
def understander(folders: dict[str, Path]) -> TransformersUnderstander:
    return configured(folders).load(Resources())


def photograph(name: str) -> Rgb:
    return np.asarray(getattr(data, name)())


def by_blip(folder: Path, image: Rgb) -> str:
    from transformers import BlipForConditionalGeneration, BlipProcessor

    processor = BlipProcessor.from_pretrained(folder)
    model = BlipForConditionalGeneration.from_pretrained(folder).eval()
    inputs = processor(images=image, return_tensors="pt")
    (tokens,) = model.generate(**inputs, num_beams=blip.BEAMS, max_new_tokens=blip.MAX_TOKENS, do_sample=False)
    assert processor.decode(tokens[:1]) == "[DEC]"
    assert len(tokens) > 4
    return processor.decode(tokens[1:], skip_special_tokens=True)


def by_qwen3_vl(folder: Path, image: Rgb) -> str:
    from PIL import Image
    from transformers import (
        AutoTokenizer,
        Qwen2VLImageProcessorPil,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        processing_utils,
    )

    tokenizer = AutoTokenizer.from_pretrained(folder)
    images = Qwen2VLImageProcessorPil.from_pretrained(folder, size=qwen3_vl.PIXELS)
    with pytest.MonkeyPatch.context() as patch:  # it insists on a processor of videos, which needs torchvision
        patch.setattr(processing_utils.ProcessorMixin, "check_argument_for_proper_class", lambda *_: None)
        processor = Qwen3VLProcessor(images, tokenizer, None, chat_template=tokenizer.chat_template)
    content = [{"type": "image", "image": Image.fromarray(image)}, {"type": "text", "text": qwen3_vl.REQUEST}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder).eval()
    (tokens,) = model.generate(**inputs, max_new_tokens=qwen3_vl.MAX_TOKENS, do_sample=False)
    return processor.decode(tokens[inputs["input_ids"].shape[1] :], skip_special_tokens=True)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize(("maker", "reference"), [(make_tiny_blip, by_blip), (make_tiny_qwen3_vl, by_qwen3_vl)])
def test_captions_as_the_library_does(
    name: str, maker: Callable[..., Path], reference: Callable[[Path, Rgb], str], checkpoint: Callable, present: dict
) -> None:
    folder = checkpoint(maker)
    captioner = configured({**present, "caption_model": folder}).load(Resources())._captioner
    caption = captioner.caption(photograph(name), progress=no_progress)
    print(name, caption)
    assert len(caption) > 8
    assert caption == sentence(reference(folder, photograph(name)))


def test_captions_depend_on_the_image(understander: TransformersUnderstander) -> None:
    captions = {understander._captioner.caption(photograph(name), progress=no_progress) for name in PHOTOGRAPHS}
    assert len(captions) >= 3


def by_clip(folder: Path, image: Rgb) -> np.ndarray:
    from transformers import CLIPModel, CLIPProcessor

    processor = CLIPProcessor.from_pretrained(folder)
    texts = [f"a photo of a {label}." for label in LABELS]
    with torch.no_grad():
        inputs = processor(text=texts, images=image, return_tensors="pt", padding=True)
        return CLIPModel.from_pretrained(folder).eval()(**inputs).logits_per_image.softmax(1)[0].numpy()


def by_siglip(folder: Path, image: Rgb) -> np.ndarray:
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    # With its own processor the library would leave capitals to the tokenizer, which for squares keeps them.
    texts = [f"this is a photo of {label.lower()}." for label in LABELS]
    tokens = AutoTokenizer.from_pretrained(folder)(texts, padding="max_length", max_length=64, return_tensors="pt")
    inputs = AutoImageProcessor.from_pretrained(folder, backend="pil")(image, return_tensors="pt")
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(input_ids=tokens["input_ids"], **inputs).logits_per_image.sigmoid()[0].numpy()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize(
    ("maker", "reference"),
    [(make_tiny_clip, by_clip), (make_tiny_siglip2, by_siglip), (make_tiny_siglip2_naflex, by_siglip)],
)
def test_classifies_as_the_library_does(
    name: str,
    maker: Callable[..., Path],
    reference: Callable[[Path, Rgb], np.ndarray],
    checkpoint: Callable,
    present: dict,
) -> None:
    folder = checkpoint(maker)
    found = configured({**present, "class_model": folder}).load(Resources())._classifier.probabilities(photograph(name))
    expected = reference(folder, photograph(name))
    print(name, dict(zip(LABELS, found.round(3).tolist(), strict=True)), "off by", np.abs(found - expected).max())
    assert np.ptp(np.log(found / (1 - found))) > 0.5, "the names differ"
    assert np.abs(found - expected).max() < 1e-5


def test_many_labels_are_embedded_like_few(folders: dict, understander: TransformersUnderstander) -> None:
    many = tuple(f"Thing {number}" for number in range(70)) + LABELS
    classifier = configured(folders, labels=many).load(Resources())._classifier
    found = np.log(classifier.probabilities(photograph("coffee"))[-len(LABELS) :])
    few = np.log(understander._classifier.probabilities(photograph("coffee")))
    ratio = found - few  # CLIP's probabilities share their sum among more names
    assert np.ptp(ratio) < 1e-4


def test_the_prompt_is_what_the_model_reads(present: dict) -> None:
    image = photograph("coffee")
    own, other = (
        configured(present, prompt=prompt).load(Resources())._classifier.probabilities(image)
        for prompt in ("This is a photo of {}.", "{} seen from above")
    )
    assert np.array_equal(configured(present).load(Resources())._classifier.probabilities(image), own)
    assert np.abs(own - other).max() > 0.01


def grid(per_side: int, height: int, width: int) -> torch.Tensor:
    """Points (1, N, 1, 2) as x and y, the center of each cell."""
    places = (torch.arange(per_side, dtype=torch.float64) + 0.5) / per_side
    down, across = torch.meshgrid(places * height, places * width, indexing="ij")
    return torch.stack((across, down), -1).reshape(1, -1, 1, 2)


def by_sam(folder: Path, image: Rgb, per_side: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Logits (N, h, w), qualities (N,) and masks (N, H, W) of a grid of points, by the library."""
    from transformers import SamModel, SamProcessor

    processor = SamProcessor.from_pretrained(folder)
    points = grid(per_side, *image.shape[:2])
    inputs = processor(image, input_points=points.tolist(), return_tensors="pt")
    exact = grid(per_side, *inputs["reshaped_input_sizes"][0].tolist())
    assert (inputs.pop("input_points") - exact).abs().max() < 1e-9  # a remaining difference would be magnified
    with torch.no_grad():
        outputs = SamModel.from_pretrained(folder).eval()(**inputs, input_points=exact)
    (masks,) = processor.post_process_masks(
        outputs.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"]
    )
    return outputs.pred_masks[0].flatten(0, 1), outputs.iou_scores.flatten(), masks.flatten(0, 1).numpy()


def by_sam2(folder: Path, image: Rgb, per_side: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """The same; its processor needs torchvision, so the image is prepared here."""
    from PIL import Image
    from transformers import Sam2Model

    square = np.float32(np.asarray(Image.fromarray(image).resize((128, 128), Image.Resampling.BILINEAR)) / 255)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    pixels = torch.from_numpy((square - mean) / std).permute(2, 0, 1)
    with torch.no_grad():
        outputs = Sam2Model.from_pretrained(folder).eval()(pixels[None], input_points=grid(per_side, 128, 128))
    with pytest.MonkeyPatch.context() as patch:
        library = imported("transformers.models.sam2.image_processing_sam2", patch).Sam2ImageProcessor
    (masks,) = library.post_process_masks(None, outputs.pred_masks, [image.shape[:2]])
    return outputs.pred_masks[0].flatten(0, 1), outputs.iou_scores.flatten(), masks.flatten(0, 1).numpy()


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
@pytest.mark.parametrize(("maker", "reference"), [(make_tiny_sam, by_sam), (make_tiny_sam2, by_sam2)])
def test_segments_as_the_library_does(
    name: str, maker: Callable[..., Path], reference: Callable, checkpoint: Callable, present: dict
) -> None:
    folder, image = checkpoint(maker), photograph(name)
    logits, qualities, masks = reference(folder, image, 10)
    segmenter = configured({**present, "segmentation_model": folder}).load(Resources())._segmenter
    with torch.inference_mode():
        embedding, frame = segmenter._embed(image)
        answers = list(segmenter._answers(embedding, frame))
        found = torch.cat([each for _, each, _ in answers])
        enlarged = np.stack([frame.enlarge(each) for each in found])
    spread = logits.std().item()
    off = (found - logits).abs().max().item()
    print(name, "logits", round(spread, 1), "standard deviation, off by", off)
    assert [len(each) for _, each, _ in answers] == [96, 96, 96, 12]
    assert off < 1e-4 * spread
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
    assert sum(stage == "segmenting" for _, stage in reports) == 6
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


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (250, 1), (3, 7), (1, 3), (33, 65)])
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


def test_reads_tensors_in_torch_s_own_format(present: dict, checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    pickled = make_tiny_blip(tmp_path / "blip", pickled=True)
    image = photograph("coffee")
    ours, same_weights = (
        configured({**present, "caption_model": folder})
        .load(Resources())
        ._captioner.caption(image, progress=no_progress)
        for folder in (pickled, checkpoint(make_tiny_blip))
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
    for key in KEYS:
        others = [folders[other] for other in KEYS if other != key]
        for other in others:
            with pytest.raises(ModelUnavailable, match=rf"{other.name} is a model of type .* This key supports"):
                configured({**folders, key: other}).load(Resources())


def test_a_missing_model_names_the_command_that_fetches_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailable, match=r"Qwen3-VL-2B-Instruct.*make pull"):
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
    assert config.card().license == "Apache-2.0"
    first = TransformersConfig(
        caption_model="Salesforce/blip-image-captioning-base",
        class_model="openai/clip-vit-base-patch32",
        segmentation_model="facebook/sam-vit-base",
    )
    assert first.card().license == "BSD-3-Clause AND MIT AND Apache-2.0"
    assert not config.card().embedded
    assert {"Forklift", "Fuel Pump", "Person"} <= set(config.labels)
    assert len(config.labels) == len({label.lower() for label in config.labels}) >= 100
    own = TransformersConfig(segmentation_model="someone/sam").card()
    assert own.license == "see the models' pages"
    for weights, pickled in zip((*config.weights(), *first.weights()), (0, 0, 0, 1, 1, 0), strict=True):
        published = {"config.json": True, "tokenizer.json": True, "vocab.txt": True, "model.safetensors": True}
        published |= {"pytorch_model.bin": bool(pickled), "tf_model.h5": False, "flax_model.msgpack": False}
        assert {name: any(fnmatch(name, each) for each in weights.files) for name in published} == published


def test_importing_loads_no_library() -> None:
    code = (
        "import importlib, sys, pipelines.image_understanding as p\n"
        "for m in ('blip', 'clip', 'engine', 'labels', 'qwen3_vl', 'sam', 'sam2', 'siglip'):\n"
        "    importlib.import_module(f'{p.__name__}.transformers.{m}')\n"
        "print(sorted({'cv2', 'supervision', 'torch', 'transformers', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
