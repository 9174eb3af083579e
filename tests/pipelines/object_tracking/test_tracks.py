"""Tracks drawn into frames and written as MOTChallenge text, and the association behind any detector."""

import numpy as np
import pytest

from pipelines.object_tracking import Tracks
from pipelines.object_tracking.annotate import PALETTE, Annotator
from pipelines.object_tracking.byte_track import NOTHING, Associator, Detections
from pipelines.object_tracking.video import mot_lines


def tracks(*rows: tuple[int, float, float, float, float]) -> Tracks:
    return Tracks(
        xyxy=np.array([row[1:] for row in rows], np.float32).reshape(-1, 4),
        ids=np.array([row[0] for row in rows], np.int64),
        scores=np.full(len(rows), 0.9, np.float32),
        labels=("person",) * len(rows),
    )


def test_mot_lines() -> None:
    assert mot_lines(7, tracks((3, 10, 20, 40.5, 100.25))) == "7,3,10.00,20.00,30.50,80.25,0.90,-1,-1,-1\n"
    assert mot_lines(1, tracks((1, 0, 0, 1, 1), (2, 5, 5, 6, 7))).count("\n") == 2
    assert mot_lines(1, tracks()) == ""


def test_draws_box_tag_and_trail_in_the_color_of_the_track() -> None:
    annotator = Annotator(320, 240, fps=10)
    for left in range(20, 120, 10):
        frame = np.full((240, 320, 3), 90, np.uint8)
        drawn = annotator.draw(frame, tracks((1, left, 100, left + 50, 180)))
        assert (frame == 90).all()
    red, green, blue = (int(PALETTE[1][i : i + 2], 16) for i in (1, 3, 5))
    for name, (y, x) in {"box": (140, 110), "trail": (180, 80), "tag": (90, 118)}.items():
        near = drawn[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3)
        assert (near == (red, green, blue)).all(axis=1).any(), name
    assert (drawn[:70] == 90).all()


def test_a_frame_without_tracks_is_left_as_it_is() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (121, 77, 3), np.uint8)
    assert np.array_equal(Annotator(77, 121, fps=25).draw(frame, tracks()), frame)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (33, 17), (301, 203)])
def test_draws_on_any_size(size: tuple[int, int]) -> None:
    width, height = size
    annotator = Annotator(width, height, fps=25)
    outside = tracks((1, 0, 0, width, height), (2, -50, -50, 3, 3), (3, 1e5, 1e5, 2e5, 2e5), (4, 0.2, 0.2, 0.4, 0.4))
    for _ in range(3):
        assert annotator.draw(np.zeros((height, width, 3), np.uint8), outside).shape == (height, width, 3)


FRAME = np.zeros((4, 4, 3), np.uint8)


def seen(*boxes: tuple[float, ...], label: str = "car", score: float = 0.9) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), score, np.float32), (label,) * len(boxes)
    )


def run(associator: Associator, found: list[Detections | None]) -> list[Tracks]:
    reported = [t for one in found for _, t in associator.update(FRAME, one)]
    return reported + [t for _, t in associator.flush()]


def moving(number: int) -> tuple[float, ...]:
    return (10.0 + 4 * number, 20, 60.0 + 4 * number, 90)


def test_a_track_is_reported_from_its_first_frame_and_over_short_gaps() -> None:
    found = [NOTHING if number in {10, 11, 20} else seen(moving(number)) for number in range(40)]
    reported = run(Associator(fps=25), found)
    assert [t.ids.tolist() for t in reported] == [[1]] * 40
    assert np.abs(np.array([t.xyxy[0] for t in reported]) - [moving(n) for n in range(40)]).max() < 0.01


def test_objects_are_expected_where_their_motion_leads() -> None:
    associator = Associator(fps=25)
    assert associator.expected().shape == (0, 4)
    for number in range(20):
        associator.update(FRAME, seen(moving(number)))
    assert np.abs(associator.expected() - [moving(20)]).max() < 0.01
    associator.update(FRAME, NOTHING)
    assert associator.expected().shape == (0, 4)


def test_a_single_false_alarm_is_not_reported() -> None:
    found = [seen(moving(n), (300, 300, 340, 340)) if n == 12 else seen(moving(n)) for n in range(30)]
    assert {int(i) for t in run(Associator(fps=25), found) for i in t.ids} == {1}


def test_frames_that_the_detector_skips_are_interpolated() -> None:
    found = [seen(moving(number)) if number % 5 == 0 else None for number in range(41)]
    reported = run(Associator(fps=30, stride=5), found)
    assert [t.ids.tolist() for t in reported] == [[1]] * 41
    assert np.abs(np.array([t.xyxy[0] for t in reported]) - [moving(n) for n in range(41)]).max() < 0.01


def test_a_track_is_named_by_the_majority() -> None:
    found = [seen(moving(n), label="truck" if n % 4 == 1 else "car") for n in range(30)]
    assert {label for t in run(Associator(fps=25), found)[10:] for label in t.labels} == {"car"}


def test_one_frame_is_enough_where_there_is_only_one() -> None:
    assert [t.ids.tolist() for t in run(Associator(fps=25), [seen(moving(0))])] == [[1]]


def test_memory_does_not_grow_with_the_tracks() -> None:
    associator = Associator(fps=25)
    for number in range(2000):
        x = 50.0 * (number // 40 % 20)
        associator.update(FRAME, seen((x, 10, x + 20, 40)))
    assert len(associator._objects) < 10
