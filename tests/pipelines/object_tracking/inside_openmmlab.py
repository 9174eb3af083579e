"""MMTracking's models: as its own API calls answer, with checkpoints that cannot run code, in bounded memory.

Runs in OpenMMLab's environment, started by `test_mmtracking.py`.
"""

import io
import pickle
import tarfile
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmtrack.apis import inference_mot

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, ModelUnavailable, UnusableMedia
from pipelines.media.video import VideoReader
from pipelines.object_tracking import MmtrackingConfig
from pipelines.object_tracking.video import track_video
from tests.checkpoints.openmmlab import make_tiny_bytetrack
from tests.openmmlab import reference_tracks

RED, BLUE = (220, 40, 40), (40, 60, 220)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Config and checkpoint of a small ByteTrack."""
    torch.set_num_threads(1)
    return make_tiny_bytetrack(tmp_path_factory.mktemp("bytetrack"))


def load(config, checkpoint, **keys):
    return MmtrackingConfig(config=str(config), checkpoint=checkpoint and str(checkpoint), device="cpu", **keys).load(
        Resources()
    )


@pytest.fixture(scope="module")
def street(sample):
    """People in a street, 640×360."""
    with sample("pedestrians.mp4").open("rb") as file, VideoReader(file, "mov", max_pixels=10_000_000) as video:
        return [cv2.resize(frame, (640, 360), interpolation=cv2.INTER_AREA) for frame in video.frames()][:5]


def test_as_mmtracks_own_api(tiny, street):
    expected = reference_tracks(*tiny, street)
    tracked = list(load(*tiny).track(iter(street), fps=3))
    assert [len(rows) for rows in expected] == [len(tracks.ids) for _, tracks in tracked]
    assert sum(len(rows) for rows in expected) > 10
    worst = 0.0
    for frame, rows, (shown, tracks) in zip(street, expected, tracked, strict=True):
        assert shown is frame
        assert (tracks.xyxy.dtype, tracks.ids.dtype, tracks.scores.dtype) == (np.float32, np.int64, np.float32)
        np.testing.assert_array_equal(tracks.ids, rows[:, 0] + 1)
        worst = max(worst, np.abs(tracks.xyxy - rows[:, 1:5]).max(), np.abs(tracks.scores - rows[:, 5]).max())
        assert set(tracks.labels) <= {"pedestrian"}
        assert all(type(label) is str for label in tracks.labels)
    print(f"{sum(map(len, expected))} boxes in {len(street)} frames; largest difference {worst:.1e}")
    assert worst < 1e-4


def test_a_second_video_starts_afresh(tiny, street):
    engine = load(*tiny)
    first, again = (list(engine.track(iter(street[:2]), fps=3)) for _ in range(2))
    for (_, one), (_, two) in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.ids, two.ids)
        np.testing.assert_array_equal(one.xyxy, two.xyxy)


class KnownDetector:
    """Finds what is red or blue, with a score of 0.9, but nothing blue in the frames `blind`. Counts frames."""

    def __init__(self, blind):
        self.blind, self.number = blind, -1

    def simple_test(self, img, img_metas, rescale):
        self.number += 1
        bgr = img[0].permute(1, 2, 0).numpy()
        found = []
        for color in (RED, BLUE):
            seen = np.abs(bgr - color[::-1]).max(axis=2) < 20
            if seen.any() and not (color == BLUE and self.number in self.blind):
                rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
                found.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1, 0.9])
        return [[np.array(found, np.float32).reshape(-1, 5)]]


def crossing(count):
    """Two boxes that go to and fro on 448×256, which the small model sees at its own size; frame by frame."""
    for number in range(count):
        image = np.full((256, 448, 3), 120, np.uint8)
        for color, top, start in ((RED, 40, 0), (BLUE, 160, 200)):
            left = 20 + abs((3 * number + start) % 700 - 350)
            image[top : top + 60, left : left + 40] = color
        yield image


def test_drawn_boxes_keep_their_ids(tiny):
    """A known detector before the model's own tracker, over missed frames."""
    engine = load(*tiny)
    engine._model.detector.simple_test = KnownDetector(blind={10, 11, 25}).simple_test
    ids = {"red": set(), "blue": set()}
    for number, (image, tracks) in enumerate(engine.track(crossing(60), fps=25)):
        assert len(tracks.ids) == (1 if number in {10, 11, 25} else 2), number
        for box, identity in zip(tracks.xyxy, tracks.ids, strict=True):
            x, y = ((box[:2] + box[2:]) / 2).astype(int)
            assert tuple(image[y, x]) in (RED, BLUE)
            ids["red" if tuple(image[y, x]) == RED else "blue"].add(int(identity))
            assert box[2] - box[0] == pytest.approx(40, abs=1)
    assert ids == {"red": {1}, "blue": {2}}


def test_memory_does_not_grow_with_the_video(tiny):
    """What is kept of each object is bounded, and the tracks are those of a tracker that keeps all."""
    count, blind = 150, {60, 61, 62}
    engine, other = load(*tiny), load(*tiny)
    engine._model.detector.simple_test = KnownDetector(blind).simple_test
    other._model.detector.simple_test = KnownDetector(blind).simple_test
    model = engine._model
    longest = 0
    for number, (image, tracks) in enumerate(engine.track(crossing(count), fps=25)):
        rows = inference_mot(other._model, np.ascontiguousarray(image[..., ::-1]), number)["track_bboxes"][0]
        np.testing.assert_array_equal(tracks.ids, rows[:, 0] + 1)
        np.testing.assert_array_equal(tracks.xyxy, rows[:, 1:5])
        longest = max(longest, *(len(track.bboxes) for track in model.tracker.tracks.values()))
    everything = max(len(track.bboxes) for track in other._model.tracker.tracks.values())
    print(f"sightings kept of one object: {longest}; by mmtrack itself {everything}")
    assert longest <= 30 + 16 < everything


def test_a_whole_video(tiny, sample):
    """Annotated H.264, MOTChallenge text, counts; and a cancel between frames that leaves nothing behind."""
    engine = load(*tiny)
    annotated, text = io.BytesIO(), io.BytesIO()
    with sample("pedestrians.mp4").open("rb") as file, VideoReader(file, "mov", max_pixels=10_000_000) as video:
        counts = track_video(video, engine, annotated, text)
        count = video.frame_count
    assert set(counts) == {"pedestrian"}
    lines = [line.split(",") for line in text.getvalue().decode().splitlines()]
    assert {len(line) for line in lines} == {10}
    assert {int(line[0]) for line in lines} <= set(range(1, count + 1))
    assert len({line[1] for line in lines}) == counts["pedestrian"] > 0
    with VideoReader(annotated, "mov", max_pixels=10_000_000) as video:
        assert (video.width, video.height, len(list(video.frames()))) == (1920, 1080, count)

    def gone(fraction, stage):
        raise Cancelled("gone")

    annotated = io.BytesIO()
    with (
        sample("pedestrians.mp4").open("rb") as file,
        VideoReader(file, "mov", max_pixels=10_000_000) as video,
        pytest.raises(Cancelled),
    ):
        track_video(video, engine, annotated, io.BytesIO(), progress=gone)
    assert annotated.getvalue() == b""


def test_files_of_before_the_zip_format_load(tiny, tmp_path, street):
    """What OpenMMLab publishes is written so."""
    path = tmp_path / "published.pth"
    torch.save(torch.load(tiny[1]), path, _use_new_zipfile_serialization=False)
    ((_, tracks),) = load(tiny[0], path).track(street[:1], fps=3)
    ((_, expected),) = load(*tiny).track(street[:1], fps=3)
    np.testing.assert_array_equal(tracks.xyxy, expected.xyxy)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (301, 1), (7, 13), (65, 63)])
def test_any_size(size, tiny):
    frame = np.random.RandomState(0).randint(0, 256, (*size, 3), np.uint8)
    ((shown, tracks),) = load(*tiny).track([frame], fps=1)
    assert shown is frame
    assert tracks.xyxy.shape == (len(tracks.ids), 4)


def test_frames_that_cannot_be_aligned_are_reported(tiny):
    """As Tracktor aligns them, at a cut."""

    def align(img, img_metas, rescale):
        one, two = np.random.RandomState(0).randint(0, 256, (2, 64, 64), np.uint8)
        cv2.findTransformECC(one, two, np.eye(2, 3, dtype=np.float32))

    engine = load(*tiny)
    engine._model.detector.simple_test = align
    with pytest.raises(UnusableMedia, match="cut"):
        list(engine.track(crossing(1), fps=25))


def test_no_frame_at_all(tiny):
    assert list(load(*tiny).track([], fps=1)) == []


def test_nothing_is_fetched_and_parts_have_files_of_their_own(tiny, tmp_path, street):
    """An address in the config is passed over; a file there is the detector's, and then no other is needed."""
    config, _ = make_tiny_bytetrack(
        tmp_path, init_cfg={"type": "Pretrained", "checkpoint": "https://127.0.0.1:9/a.pth"}
    )
    (_, expected), *_ = load(config, tiny[1]).track(street[:1], fps=3)
    with pytest.raises(ModelUnavailable, match=r"parameters of the model are in no checkpoint.*no checkpoint"):
        load(config, None)

    whole = torch.load(tiny[1])["state_dict"]
    detector = {name.removeprefix("detector."): value for name, value in whole.items()}
    torch.save({"state_dict": detector}, tmp_path / "detector.pth")
    parts = {"type": "Pretrained", "checkpoint": str(tmp_path / "detector.pth")}
    config, _ = make_tiny_bytetrack(tmp_path, init_cfg=parts)
    (_, tracks), *_ = load(config, None).track(street[:1], fps=3)
    np.testing.assert_array_equal(tracks.xyxy, expected.xyxy)
    assert set(tracks.labels) == {"class 0"}  # the detector's file does not tell


class Harm:
    """A pickle that does something."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return Path.touch, (self.proof,)


def test_other_checkpoints_are_refused(tiny, tmp_path):
    config, good = tiny
    content = torch.load(good)
    path = tmp_path / "broken.pth"
    first = next(iter(content["state_dict"]))
    for broken in (
        Harm(tmp_path / "proof"),
        content | {"meta": {"hook": Harm(tmp_path / "proof")}},
        [1],
        {},
        {"state_dict": {"a": 1}},
        {"state_dict": content["state_dict"] | {first: torch.ones(3)}},
        {"state_dict": OrderedDict(list(content["state_dict"].items())[5:])},
    ):
        torch.save(broken, path)
        with pytest.raises(ModelUnavailable, match=r"damaged, or of a model|in no checkpoint") as error:
            load(config, path)
        assert str(tmp_path) not in error.value.message
    archive = io.BytesIO()
    with tarfile.open(path, "w") as tar:  # PyTorch's oldest format, which its 2.1 reads with any pickle in it
        pickle.dump(Harm(tmp_path / "proof"), archive)
        for name in ("sys_info", "storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            member.size = len(archive.getvalue())
            tar.addfile(member, io.BytesIO(archive.getvalue()))
    with pytest.raises(ModelUnavailable, match="damaged"):
        load(config, path)
    whole = good.read_bytes()
    for damaged in (b"", b"no archive", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(ModelUnavailable, match="damaged"):
            load(config, path)
    with pytest.raises(ModelUnavailable, match="not on this machine"):
        load(config, tmp_path / "none.pth")
    assert not (tmp_path / "proof").exists()


def test_what_is_no_config_for_tracking_is_reported(tiny, tmp_path):
    for name, message in (
        ("bytetrack/none", "no config 'none' among mmtrack's"),
        ("/nowhere/own.py", "no config 'own' on this machine"),
        ("deepsort/sort_faster-rcnn_fpn_4e_mot17-public", "private"),
    ):
        with pytest.raises(ModelUnavailable, match=message):
            load(name, tiny[1])
    (tmp_path / "detector.py").write_text("model = dict(type='YOLOX')")
    with pytest.raises(ModelUnavailable, match="multi-object tracking"):
        load(tmp_path / "detector.py", tiny[1])
    with pytest.raises(ModelUnavailable, match="CUDA"):
        MmtrackingConfig(config=str(tiny[0]), checkpoint=str(tiny[1]), device="cuda").load(Resources())
