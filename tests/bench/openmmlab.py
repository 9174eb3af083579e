"""OpenMMLab's models beside the product's own, on the CPU, without the graph.

Tracking: mmtracking's ByteTrack and ours get the same detections of drawn scenes: the true boxes, shaken, some missed,
some false. Ours looks ahead by up to half a second and fills gaps; mmtracking's decides frame by frame. Interpolation:
PSNR of the frame half-way in drawn motion, and speed at 320×240; without weights, networks of full size
with random ones show their speed, and there is no PSNR.
"""

import json
import time
from collections.abc import Iterator

import numpy as np

from pipelines.contracts.engine import Resources
from pipelines.frame_interpolation import FrameInterpolator, OpticalFlowConfig
from pipelines.object_tracking.base import Tracks
from pipelines.object_tracking.byte_track import Associator, Detections
from tests.bench.setting import Bench, say
from tests.openmmlab import READY, run_inside
from tests.pipelines.frame_interpolation import test_optical_flow as motion
from tests.pipelines.object_tracking import test_classical_tracker as tracking

HEAD = ("engine", "MOTA", "IDF1", "switches", "PSNR, dB", "frames/s")
FURTHER = ()
SCENES = ("enter_and_leave", "pause_for_seconds", "pass_close_by", "cross_each_other")
MIDDLES = 3


def measure(bench: Bench) -> list[list[object]]:
    truths, detections = _detections()
    ours, ours_per_s = _associate(detections)
    rows = [["ByteTrack, ours", *_scores(truths, ours), "", f"{ours_per_s:,.0f}"]]
    theirs = _inside(bench, truths, detections) if READY else {}
    rows += [theirs.get("bytetrack", ["ByteTrack, mmtracking: not built (make openmmlab)"])]
    rows += [_flow(), _rife()]
    rows += [theirs.get(name, [f"{name}, mmediting: not built (make openmmlab)"]) for name in ("cain", "flavr")]
    return rows


def _detections() -> tuple[dict[str, list[dict[int, np.ndarray]]], dict[str, list[np.ndarray]]]:
    """By scene and frame: the true boxes, and float32 (N, 5) of box and score as a middling detector finds them."""
    truths, detections = {}, {}
    for name in SCENES:
        say(f"drawing {name}")
        random = np.random.RandomState(1)
        truths[name] = [truth for _, truth in getattr(tracking, name)()]
        detections[name] = [np.array(list(_found(truth, random)), np.float32).reshape(-1, 5) for truth in truths[name]]
    return truths, detections


def _found(truth: dict[int, np.ndarray], random: np.random.RandomState) -> Iterator[np.ndarray]:
    for box in truth.values():
        side = np.tile(box[2:] - box[:2], 2)
        if random.rand() > 0.1:
            yield np.append(box + side * random.normal(0, 0.04, 4), random.uniform(0.5, 0.95))
    if random.rand() < 0.1:
        left, top = random.uniform(0, 500), random.uniform(0, 250)
        yield np.array([left, top, left + 60, top + 80, random.uniform(0.2, 0.65)])


def _associate(detections: dict[str, list[np.ndarray]]) -> tuple[dict[str, list[Tracks]], float]:
    tracks, count, started_s = {}, 0, time.perf_counter()
    blank = np.zeros((1, 1, 3), np.uint8)
    for name, frames in detections.items():
        associator = Associator(fps=tracking.FPS)
        moved = []
        for found in frames:
            moved += associator.update(blank, Detections(found[:, :4], found[:, 4], ("thing",) * len(found)))
        tracks[name] = [each for _, each in moved + associator.flush()]
        count += len(frames)
    return tracks, count / (time.perf_counter() - started_s)


def _scores(truths: dict[str, list[dict[int, np.ndarray]]], tracks: dict[str, list[Tracks]]) -> list[str]:
    """MOTA and IDF1, in the mean of the scenes, and all identity switches."""
    found = [tracking.measure(zip(truths[name], tracks[name], strict=True)) for name in truths]
    mean = [f"{np.mean([each[figure] for each in found]):.3f}" for figure in ("mota", "idf1")]
    return [*mean, f"{sum(each['num_switches'] for each in found):.0f}"]


def _inside(
    bench: Bench, truths: dict[str, list[dict[int, np.ndarray]]], detections: dict[str, list[np.ndarray]]
) -> dict[str, list[object]]:
    say("OpenMMLab's environment")
    flat = {f"{name}/{i:05}": found for name, frames in detections.items() for i, found in enumerate(frames)}
    np.savez(bench.folder / "detections.npz", **flat)
    run_inside("-m", "tests.bench.inside_openmmlab", str(bench.folder))
    per_s = json.loads((bench.folder / "seconds.json").read_text())
    tracks: dict[str, list[Tracks]] = {name: [] for name in truths}
    with np.load(bench.folder / "tracks.npz") as rows:
        for name in sorted(rows.files):
            ids, boxes, scores = rows[name][:, 0].astype(np.int64), rows[name][:, 1:5], rows[name][:, 5]
            tracks[name.split("/")[0]].append(Tracks(boxes, ids, scores, ("thing",) * len(ids)))
    return {
        "bytetrack": ["ByteTrack, mmtracking", *_scores(truths, tracks), "", f"{per_s['bytetrack']:,.0f}"],
        "cain": ["CAIN, mmediting (random weights)", "", "", "", "–", f"{per_s['cain']:.2f}"],
        "flavr": ["FLAVR, mmediting (random weights)", "", "", "", "–", f"{per_s['flavr']:.2f}"],
    }


def _flow() -> list[object]:
    say("optical flow")
    engine = OpticalFlowConfig().load(Resources())
    pairs = [(motion.scene(name, 0), motion.scene(name, 0.5), motion.scene(name, 1)) for name in motion.SCENES]
    noise = [motion.psnr(engine.interpolate(a, b, [0.5], outer=(a, b))[0], truth) for a, truth, b in pairs]
    return ["optical flow", "", "", "", f"{np.mean(noise):.1f}", f"{_speed(engine):.2f}"]


def _rife() -> list[object]:
    import torch

    from pipelines.frame_interpolation.rife.engine import Rife
    from pipelines.frame_interpolation.rife.ifnet import IFNet, Shape
    from pipelines.loading.device import select_device

    say("RIFE")
    torch.manual_seed(0)
    network = IFNet(Shape(widths=(192, 128, 96, 64, 32), encoder=16, features=4, outputs=13)).eval()
    engine = Rife(network, select_device("cpu", "float32"), None, "random")
    return ["RIFE 4.26 (random weights)", "", "", "", "–", f"{_speed(engine):.2f}"]


def _speed(engine: FrameInterpolator) -> float:
    one, two = np.random.RandomState(0).randint(0, 256, (2, 240, 320, 3), np.uint8)
    engine.interpolate(one, two, [0.5], outer=(one, two))
    started_s = time.perf_counter()
    for _ in range(MIDDLES):
        engine.interpolate(one, two, [0.5], outer=(one, two))
    return MIDDLES / (time.perf_counter() - started_s)
