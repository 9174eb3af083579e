"""Classical image understanding, on photographs that scikit-image ships and on drawn scenes with known masks."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import color, data

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled
from pipelines.image_understanding import ClassicalConfig, Description, ImageUnderstander, draw_masks
from pipelines.image_understanding.classical.segments import segment
from pipelines.media import Rgb
from pipelines.media.image import fit
from tests.pipelines.image_understanding import pages, scenes


@pytest.fixture(scope="module")
def understander() -> ImageUnderstander:
    return ClassicalConfig().load(Resources())


@pytest.fixture(scope="module")
def describe(understander: ImageUnderstander) -> Callable[[str], Description]:
    """The description of one of scikit-image's photographs, by name, made once."""
    seen: dict[str, Description] = {}

    def describe(name: str) -> Description:
        if name not in seen:
            seen[name] = understander.describe(photograph(name))
            print(f"{name}: {', '.join(seen[name].classes)}: {seen[name].caption}")
        return seen[name]

    return describe


def photograph(name: str) -> Rgb:
    if name == "motorcycle":
        return np.asarray(data.stereo_motorcycle()[0])
    image = np.asarray(getattr(data, name)())
    return image[..., :3] if image.ndim == 3 else color.gray2rgb(image)


PEOPLE_FREE = ("chelsea", "coffee", "rocket", "brick", "coins", "moon", "hubble_deep_field", "motorcycle")


def test_astronaut_is_a_photo_of_a_face(describe: Callable[[str], Description]) -> None:
    found = describe("astronaut")
    assert found.classes == ("person", "face", "photo")
    assert "photo of a person's face" in found.caption


@pytest.mark.parametrize("name", PEOPLE_FREE)
def test_no_people_if_there_are_none(name: str, describe: Callable[[str], Description]) -> None:
    found = describe(name)
    assert found.classes[0] == "photo"
    assert "person" not in found.classes
    assert "face" not in found.caption


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coffee", ("dark red", "brown")),
        ("rocket", ("dark blue", "dark ")),
        ("chelsea", ("brown", "tan")),
        ("hubble_deep_field", ("dark photo", "black")),
        ("moon", ("black-and-white", "low-contrast")),
        ("brick", ("black-and-white",)),
        ("camera", ("black-and-white",)),
        ("motorcycle", ("red", "gray")),
    ],
)
def test_colors_and_light_are_named(
    name: str, expected: tuple[str, ...], describe: Callable[[str], Description]
) -> None:
    caption = describe(name).caption
    assert all(word in caption for word in expected), caption


@pytest.mark.parametrize("name", ["page", "text"])
def test_photographed_writing_is_a_page(name: str, describe: Callable[[str], Description]) -> None:
    assert describe(name).classes[0] == "page of text"


@pytest.mark.parametrize("name", ["horse", "logo"])
def test_graphics_are_drawings(name: str, understander: ImageUnderstander) -> None:
    image = photograph(name) if name == "logo" else np.uint8(255) * np.dstack([data.horse()] * 3).astype(np.uint8)
    assert understander.describe(image).classes[0] == "drawing"


@pytest.mark.parametrize(
    ("image", "kind", "words"),
    [
        (pages.page(), "page of text", "black on white"),
        (pages.page("#111111", "#f4f4f4"), "page of text", "on black"),
        (pages.page("#f5e8c8", "#302010"), "page of text", "on cream"),
        (pages.scan(), "page of text", "dark gray on light gray"),
        (pages.screen(), "screenshot", "white"),
        (pages.drawing(), "drawing", "light blue and green"),
    ],
    ids=["page", "dark page", "cream page", "scan", "screen", "drawing"],
)
def test_drawn_kinds(image: Rgb, kind: str, words: str, understander: ImageUnderstander) -> None:
    found = understander.describe(image)
    print(found.caption)
    assert found.classes[0] == kind
    assert words in found.caption


def test_several_people_are_counted(understander: ImageUnderstander) -> None:
    one = photograph("astronaut")[:, 100:400]
    found = understander.describe(np.hstack([one, one]))
    assert "two people" in found.caption


def test_pedestrians_are_found(sample: Callable[[str], Path], understander: ImageUnderstander) -> None:
    import av

    with av.open(str(sample("pedestrians.mp4"))) as video:
        frame = next(video.decode(video=0)).to_ndarray(format="rgb24")
    found = understander.describe(fit(frame, 1536))
    assert found.classes[0] == "person"
    assert "people" in found.caption


def mean_iou(truth: list[scenes.Mask], masks: NDArray[np.bool_]) -> float:
    """Of each true mask with the mask that fits it best."""
    return float(np.mean([max((true & mask).sum() / (true | mask).sum() for mask in masks) for true in truth]))


def test_segments_match_drawn_scenes() -> None:
    scores = []
    for name in scenes.SCENES:
        image, truth = scenes.draw(name)
        masks = segment(image)
        scores.append(mean_iou(truth, masks))
        print(f"{name}: mean IoU {scores[-1]:.3f}, {len(masks)} segments for {len(truth)}")
        assert len(masks) <= 2 * len(truth)
    print(f"all: {np.mean(scores):.3f}")
    assert min(scores) >= 0.8
    assert np.mean(scores) >= 0.95


def test_segments_partition_a_photo_the_largest_first() -> None:
    for name in ("coffee", "rocket"):
        masks = segment(photograph(name))
        assert masks.shape[1:] == photograph(name).shape[:2]
        assert (masks.sum(axis=0) == 1).all()
        assert (np.diff(masks.sum(axis=(1, 2))) <= 0).all()
        assert 2 <= len(masks) <= 20


PLAIN = {"black": (0, 0, 0), "white": (255, 255, 255), "blue": (30, 60, 200), "orange": (250, 140, 20)}


@pytest.mark.parametrize("name", PLAIN)
def test_one_color(name: str, understander: ImageUnderstander) -> None:
    found = understander.describe(np.full((60, 90, 3), PLAIN[name], np.uint8))
    assert found.caption == f"A plain {name} image."
    assert found.masks.shape == (1, 60, 90)
    assert found.masks.all()


@pytest.mark.parametrize("size", [(1, 1), (1, 1500), (1500, 1), (3, 2), (9, 9), (127, 63), (40, 700)])
def test_odd_sizes(size: tuple[int, int], understander: ImageUnderstander) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    found = understander.describe(image)
    assert found.classes
    assert found.caption.startswith("A ")
    assert found.caption.endswith(".")
    assert (found.masks.sum(axis=0) == 1).all()
    assert draw_masks(image, found.masks).shape == image.shape


def test_large_image_and_the_same_result_each_time(understander: ImageUnderstander) -> None:
    image = np.asarray(Image.fromarray(photograph("astronaut")).resize((1536, 1536), Image.Resampling.BICUBIC))
    start = time.process_time()
    first = understander.describe(image)
    print(f"1,536 px: {time.process_time() - start:.1f} s of processor time")
    assert "face" in first.classes
    smaller = fit(image, 600)
    one, other = understander.describe(smaller), understander.describe(smaller)
    assert one.caption == other.caption
    assert np.array_equal(one.masks, other.masks)


def test_cancelled_between_stages(understander: ImageUnderstander) -> None:
    def leave(fraction: float | None, _stage: str) -> None:
        if fraction:
            raise Cancelled("gone")

    with pytest.raises(Cancelled):
        understander.describe(photograph("coffee"), progress=leave)


def test_drawn_masks_tint_and_outline() -> None:
    image = np.full((60, 80, 3), 100, np.uint8)
    masks = np.zeros((3, 60, 80), bool)
    masks[0, 10:50, 10:35] = True
    masks[1, 10:50, 45:70] = True
    drawn = draw_masks(image, masks)
    assert drawn.shape == image.shape
    assert drawn[30, 20, 0] > drawn[30, 20, 2], "the first tint is red"
    assert drawn[30, 57, 2] > drawn[30, 57, 0], "the second is blue"
    assert (drawn[30, 10] > 240).all(), "outlines are white"
    assert (drawn[2, 2] == 100).all()
    assert (image == 100).all()
    assert np.array_equal(draw_masks(image, masks[2:]), image)
    assert np.array_equal(draw_masks(image, masks[:0]), image)


def test_drawn_masks_of_one_row() -> None:
    image = np.zeros((1, 40, 3), np.uint8)
    assert draw_masks(image, np.ones((1, 1, 40), bool)).shape == (1, 40, 3)


def test_importing_loads_no_library() -> None:
    heavy = "{'cv2', 'skimage', 'supervision', 'scipy', 'PIL', 'torch'}"
    packages = "pipelines.image_understanding, pipelines.super_resolution, pipelines.media.image"
    code = f"import sys, {packages}; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
