"""OpenMMLab's side of the comparison, in its environment: `openmmlab/python -m tests.bench.inside_openmmlab FOLDER`.

Reads `FOLDER/detections.npz` (an array float32 (N, 5) for each frame of each scene: box, score), writes `tracks.npz`
(float32 (N, 6): id, box, score) and `seconds.json`.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from pipelines.contracts.engine import Resources
from pipelines.frame_interpolation import MmeditingConfig
from pipelines.loading.openmmlab import read_config

SIZE = (240, 320)
MIDDLES = 3


def associate(scenes: dict[str, list[np.ndarray]]) -> tuple[dict[str, np.ndarray], float]:
    """By mmtracking's ByteTrack, as its config sets it up; tracks by scene and frame, and frames a second."""
    from mmtrack.models.builder import build_motion, build_tracker
    from mmtrack.models.mot import ByteTrack

    settings = read_config("mmtrack", "mot", "bytetrack/bytetrack_yolox_x_crowdhuman_mot17-private-half").model
    model = ByteTrack()
    model.motion, tracker = build_motion(settings.motion), build_tracker(settings.tracker)
    tracks, count, started_s = {}, 0, time.perf_counter()
    for scene, frames in scenes.items():
        tracker.reset()
        for number, found in enumerate(frames):
            boxes, labels = torch.from_numpy(found), torch.zeros(len(found), dtype=torch.long)
            boxes, labels, ids = tracker.track(None, [{}], model, boxes, labels, number)
            tracks[f"{scene}/{number:05}"] = np.column_stack([ids.numpy(), boxes.numpy()]).astype(np.float32)
            count += 1
    return tracks, count / (time.perf_counter() - started_s)


def interpolate(config: str, folder: Path) -> float:
    """Frames in between a second, by a model of full size with random weights."""
    from mmcv.runner import save_checkpoint
    from mmedit.apis import init_model

    checkpoint = folder / "random.pth"
    save_checkpoint(init_model(read_config("mmedit", "video_interpolators", config), device="cpu"), str(checkpoint))
    engine = MmeditingConfig(config=config, checkpoint=str(checkpoint), device="cpu").load(Resources())
    one, two = np.random.RandomState(0).randint(0, 256, (2, *SIZE, 3), np.uint8)
    engine.interpolate(one, two, [0.5], outer=(one, two))
    started_s = time.perf_counter()
    for _ in range(MIDDLES):
        engine.interpolate(one, two, [0.5], outer=(one, two))
    return MIDDLES / (time.perf_counter() - started_s)


def main(folder: Path) -> None:
    scenes: dict[str, list[np.ndarray]] = {}
    with np.load(folder / "detections.npz") as detections:
        for name in sorted(detections.files):
            scenes.setdefault(name.split("/")[0], []).append(detections[name])
    tracks, per_s = associate(scenes)
    np.savez(folder / "tracks.npz", **tracks)
    cain = interpolate("cain/cain_b5_g1b32_vimeo90k_triplet", folder)
    flavr = interpolate("flavr/flavr_in4out1_g8b4_vimeo90k_septuplet", folder)
    (folder / "seconds.json").write_text(json.dumps({"bytetrack": per_s, "cain": cain, "flavr": flavr}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
