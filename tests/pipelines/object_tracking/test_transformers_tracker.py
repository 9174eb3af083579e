"""Neural detectors before ByteTrack: tiny checkpoints against the library, drawn scenes for what is made of them."""

import io
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput, ModelUnavailable
from pipelines.media import Rgb
from pipelines.media.video import VideoReader, VideoWriter
from pipelines.object_tracking import Tracks, TransformersConfig
from pipelines.object_tracking.byte_track import Detections
from pipelines.object_tracking.transformers.engine import TransformersTracker
from pipelines.object_tracking.video import track_video
from tests.checkpoints.object_tracking import LABELS, make_tiny_dfine, make_tiny_rf_detr, make_tiny_rtdetr_v2
from tests.pipelines.object_tracking.scenes import Thing, along, flat, play
from tests.torchvision import imported

KINDS = {"d-fine": make_tiny_dfine, "rf-detr": make_tiny_rf_detr, "rt-detr-v2": make_tiny_rtdetr_v2}
SIZE = (320, 180)
FPS = 25.0
RED, BLUE, GREEN = (200, 60, 50), (50, 90, 200), (60, 130, 60)


@pytest.fixture(scope="module")
def folder(checkpoint: Callable[..., Path]) -> Callable[[str], Path]:
    return lambda kind: checkpoint(KINDS[kind])


def images() -> list[Rgb]:
    """Three photographs of one size."""
    return [np.ascontiguousarray(each[:300, :400]) for each in (data.astronaut(), data.coffee(), data.rocket())]


class KnownDetector:
    """Tells the true boxes of the frames that it is shown, in their order, and notes how many come at once."""

    labels = LABELS

    def __init__(self, truth: Iterable[Detections]) -> None:
        self._truth = iter(truth)
        self.batches: list[int] = []

    def detect(self, frames: Sequence[Rgb]) -> list[Detections]:
        self.batches.append(len(frames))
        return [next(self._truth) for _ in frames]


def seen(*things: tuple[Sequence[float], float, str]) -> Detections:
    boxes = np.array([box for box, _, _ in things], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([score for _, score, _ in things], np.float32), tuple(t[2] for t in things))


def street() -> tuple[list[Rgb], list[Detections]]:
    """Two people and a car pass, one after another, two seconds; the frames and what is in them."""
    things = [
        Thing((24, 44), RED, along((0, 20, 60), (2, 300, 60))),
        Thing((24, 44), BLUE, along((0, 300, 140), (2, 20, 140))),
        Thing((60, 30), GREEN, along((0.4, 60, 100), (1.6, 260, 100)), seconds=(0.4, 1.6)),
    ]
    labels = ("person", "person", "car")
    scene = list(play(flat(*SIZE), things, seconds=2))
    return [frame for frame, _ in scene], [
        seen(*((box, 0.9, labels[number]) for number, box in truth.items())) for _, truth in scene
    ]


def tracked(detector: KnownDetector, frames: Iterable[Rgb], **options: object) -> list[Tracks]:
    return [tracks for _, tracks in TransformersTracker(detector, **options).track(frames, fps=FPS)]


def moving(number: int) -> tuple[float, ...]:
    return (10.0 + 4 * number, 20, 60.0 + 4 * number, 90)


def blank(count: int) -> list[Rgb]:
    return [flat(64, 64)] * count


def by_its_processor(processor: Any, outputs: Any) -> list[dict[str, torch.Tensor]]:
    return processor.post_process_object_detection(outputs, threshold=0.1, target_sizes=[(300, 400)] * 3)


def by_rf_detr(_: Any, outputs: Any) -> list[dict[str, torch.Tensor]]:
    with pytest.MonkeyPatch.context() as patch:
        library = imported("transformers.models.rf_detr.image_processing_rf_detr", patch).RfDetrImageProcessor
    return library.post_process_object_detection(None, outputs, threshold=0.1, target_sizes=[(300, 400)] * 3)


@pytest.mark.parametrize(
    ("kind", "boxes_of"), [("d-fine", by_its_processor), ("rt-detr-v2", by_its_processor), ("rf-detr", by_rf_detr)]
)
def test_finds_what_the_library_finds(kind: str, boxes_of: Callable, folder: Callable[[str], Path]) -> None:
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    processor = AutoImageProcessor.from_pretrained(folder(kind), backend="pil")
    model = AutoModelForObjectDetection.from_pretrained(folder(kind)).eval()
    with torch.no_grad():
        outputs = model(**processor(images(), return_tensors="pt"))
    expected = boxes_of(processor, outputs)
    found = TransformersConfig(model=str(folder(kind))).load(Resources())._detector.detect(images())
    for ours, theirs in zip(found, expected, strict=True):
        boxes = theirs["boxes"].numpy().clip(0, (400, 300, 400, 300))
        off = np.abs(ours.xyxy - boxes).max()
        print(kind, len(boxes), "boxes, farthest from the library's by", off, "px;", Counter(ours.labels))
        assert len(boxes) >= 10
        assert off < 1e-3
        assert np.abs(ours.scores - theirs["scores"].numpy()).max() < 1e-5
        assert ours.labels == tuple(LABELS[number] for number in theirs["labels"].tolist())
    assert len({label for ours in found for label in ours.labels}) >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_finds_what_single_frames_do(kind: str, folder: Callable[[str], Path]) -> None:
    detector = TransformersConfig(model=str(folder(kind))).load(Resources())._detector
    for together, image in zip(detector.detect(images()), images(), strict=True):
        (alone,) = detector.detect([image])
        assert together.labels == alone.labels
        assert np.abs(together.xyxy - alone.xyxy).max() < 1e-3
        assert np.abs(together.scores - alone.scores).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_tracks_do_not_depend_on_the_batch_size(kind: str, folder: Callable[[str], Path]) -> None:
    frames = [np.roll(images()[0], 3 * number, axis=1) for number in range(7)]
    one, many = (
        list(
            TransformersConfig(model=str(folder(kind)), batch_size=size).load(Resources()).track(iter(frames), fps=FPS)
        )
        for size in (1, 4)
    )
    assert sum(len(tracks.ids) for _, tracks in many) > 0
    for (frame, alone), (same, together) in zip(one, many, strict=True):
        assert frame is same
        assert alone.ids.tolist() == together.ids.tolist()
        assert alone.labels == together.labels
        assert np.abs(alone.xyxy - together.xyxy).max(initial=0) < 0.01


def test_follows_what_its_detector_sees() -> None:
    frames, truth = street()
    detector = KnownDetector(truth)
    results = tracked(detector, iter(frames), batch_size=8)
    assert detector.batches == [8] * 6 + [2]
    assert len(results) == len(frames)
    off = 0.0
    for tracks, true in zip(results, truth, strict=True):
        assert sorted(tracks.labels) == sorted(true.labels)
        off = max(off, *(np.abs(tracks.xyxy - box).max(axis=1).min() for box in true.xyxy))
    print("farthest from the true boxes:", off, "px")
    assert off < 1
    assert {int(i) for tracks in results for i in tracks.ids} == {1, 2, 3}


def test_only_the_chosen_classes_are_followed() -> None:
    frames, truth = street()
    results = tracked(KnownDetector(truth), iter(frames), classes=("car",))
    assert {label for tracks in results for label in tracks.labels} == {"car"}
    assert {int(i) for tracks in results for i in tracks.ids} == {1}


def test_doubtful_sightings_prolong_a_track_and_begin_none() -> None:
    scores = [0.9] * 10 + [0.15] * 10 + [0.9] * 10
    doubtful = (200.0, 100, 240, 160)
    truth = [seen((moving(n), score, "car"), (doubtful, 0.45, "dog")) for n, score in enumerate(scores)]
    results = tracked(KnownDetector(truth), blank(30))
    assert [tracks.ids.tolist() for tracks in results] == [[1]] * 30
    assert results[15].scores[0] < 0.2
    lower = tracked(KnownDetector(truth), blank(30), threshold=0.4)
    assert {label for tracks in lower for label in tracks.labels} == {"car", "dog"}


def test_two_names_for_one_box_are_one_object() -> None:
    truth = [seen((moving(n), 0.8, "truck"), (moving(n), 0.6, "car")) for n in range(20)]
    results = tracked(KnownDetector(truth), blank(20))
    assert [tracks.labels for tracks in results] == [("truck",)] * 20
    only_cars = tracked(KnownDetector(truth), blank(20), classes=("car",))
    assert [tracks.labels for tracks in only_cars] == [("car",)] * 20


def test_ids_go_on_over_a_cut_and_nothing_crosses_it() -> None:
    frames = [flat(64, 64)] * 20 + [255 - flat(64, 64) // 4] * 20
    truth = [seen(((10, 10, 40, 40), 0.9, "car"))] * 40
    detector = KnownDetector(truth)
    ids = [tracks.ids.tolist() for tracks in tracked(detector, frames)]
    assert ids == [[1]] * 20 + [[2]] * 20
    assert detector.batches == [8, 8, 4, 8, 8, 4]


def test_reads_a_bounded_number_of_frames_ahead() -> None:
    read = 0

    def endless() -> Iterator[Rgb]:
        nonlocal read
        while True:
            read += 1
            yield flat(64, 64)

    forever = iter(lambda: seen(((10, 10, 40, 40), 0.9, "car")), None)
    frames = TransformersTracker(KnownDetector(forever), batch_size=8).track(endless(), fps=FPS)
    ahead = 0
    for reported in range(1, 100):
        next(frames)
        ahead = max(ahead, read - reported)
    print("frames read ahead:", ahead)
    assert ahead <= 8 + 13


def written(frames: Sequence[Rgb]) -> io.BytesIO:
    file = io.BytesIO()
    with VideoWriter(file, fps=FPS, width=SIZE[0], height=SIZE[1]) as writer:
        for frame in frames:
            writer.write(frame)
    file.seek(0)
    return file


def test_counts_different_objects_by_class() -> None:
    frames, truth = street()
    lines = io.BytesIO()
    tracker = TransformersTracker(KnownDetector(truth))
    with VideoReader(written(frames), "mov", max_pixels=10**6) as video:
        counts = track_video(video, tracker, io.BytesIO(), lines)
    assert list(counts.items()) == [("person", 2), ("car", 1)]
    assert {line.split(b",")[1] for line in lines.getvalue().splitlines()} == {b"1", b"2", b"3"}
    with VideoReader(written(frames), "mov", max_pixels=10**6) as video:
        none = track_video(video, TransformersTracker(KnownDetector([seen()] * 50)), io.BytesIO(), io.BytesIO())
    assert none == {}


def test_stops_when_cancelled() -> None:
    frames, truth = street()
    detector = KnownDetector(truth)

    def gone(fraction: float | None, stage: str, /) -> None:
        raise Cancelled("the caller went away")

    out = io.BytesIO()
    with VideoReader(written(frames), "mov", max_pixels=10**6) as video, pytest.raises(Cancelled):
        track_video(video, TransformersTracker(detector), out, io.BytesIO(), progress=gone)
    assert sum(detector.batches) <= 24 < len(frames)
    assert out.getvalue() == b""


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (3, 7), (33, 65)])
def test_any_size_and_length(size: tuple[int, int], folder: Callable[[str], Path]) -> None:
    tracker = TransformersConfig(model=str(folder("rt-detr-v2"))).load(Resources())
    rng = np.random.default_rng(0)
    for length in (0, 1, 3):
        frames = [rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(length)]
        results = list(tracker.track(iter(frames), fps=FPS))
        assert len(results) == length
        for _, tracks in results:
            assert (tracks.xyxy >= 0).all()
            assert (tracks.xyxy <= (size[1], size[0], size[1], size[0])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_runs(kind: str, folder: Callable[[str], Path]) -> None:
    found = TransformersConfig(model=str(folder(kind)), dtype="bfloat16").load(Resources())._detector.detect(images())
    assert all(len(each.scores) >= 10 and each.xyxy.dtype == np.float32 for each in found)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_refuses_an_impossible_frame_rate(fps: float) -> None:
    with pytest.raises(InvalidInput):
        TransformersTracker(KnownDetector([])).track(blank(1), fps=fps)


def test_an_unknown_class_is_refused_with_the_known_ones(folder: Callable[[str], Path]) -> None:
    with pytest.raises(ModelUnavailable, match=r"no class 'cat'.*person, bicycle, car, dog, truck"):
        TransformersConfig(model=str(folder("rt-detr-v2")), classes=("car", "cat")).load(Resources())


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def one_tensor_less(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["model.encoder_input_proj.0.0.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def of_another_kind(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert"}')


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    "change",
    [
        *(without(name) for name in ("config.json", "preprocessor_config.json", "model.safetensors")),
        *(cut_short, one_tensor_less, of_another_kind),
    ],
    ids=["no-config", "no-preprocessor", "no-weights", "cut-short", "one-tensor-less", "another-kind"],
)
def test_what_cannot_be_loaded_is_reported(
    change: Callable[[Path], None], folder: Callable[[str], Path], tmp_path: Path
) -> None:
    broken = shutil.copytree(folder("rt-detr-v2"), tmp_path / "broken")
    change(broken)
    with pytest.raises(ModelUnavailable, match="broken") as refused:
        TransformersConfig(model=str(broken)).load(Resources())
    assert str(tmp_path) not in refused.value.message


def test_a_missing_model_names_the_command_that_fetches_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailable, match=r"dfine-small-coco.*make pull"):
        TransformersConfig().load(Resources())


def test_the_default_is_free_for_commercial_use_and_fetches_safetensors_only() -> None:
    from fnmatch import fnmatch

    config = TransformersConfig()
    assert config.card().license == "Apache-2.0"
    assert not config.card().embedded
    published = {"config.json": True, "model.safetensors": True, "preprocessor_config.json": True, "README.md": False}
    published |= {"pytorch_model.bin": False, "modeling.py": False}
    (weights,) = config.weights()
    assert {name: any(fnmatch(name, each) for each in weights.files) for name in published} == published
