"""OpenMMLab's environment in tests: whether it is built, tests that run in it, and results of its own API.

Run as a program in that environment, it makes small models in a folder, with their results for a clip beside them:
`openmmlab/python -m tests.openmmlab FOLDER CLIP`.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.serving import ROOT

PYTHON = ROOT / "openmmlab" / "python"

READY = (ROOT / ".venv-openmmlab" / ".ready").is_file()

built = pytest.mark.skipif(not READY, reason="OpenMMLab's environment is not built (make openmmlab)")


def run_inside(*arguments: str | Path) -> None:
    """Run its Python, with this project's code."""
    done = subprocess.run([PYTHON, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def run_tests_inside(*files: str) -> None:
    """Run test files in that environment, and show what they print."""
    run_inside(
        "-m", "pytest", "-W", "ignore", "-p", "no:cacheprovider", "-p", "no:logging", "-rP", *files
    )  # its packages warn of their age


def reference_tracks(config: Path, checkpoint: Path, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """By mmtrack's API alone: for each frame float32 (N, 6) of the first class, id from 0, box, score."""
    from mmtrack.apis import inference_mot, init_model

    model = init_model(str(config), str(checkpoint), device="cpu")
    return [
        inference_mot(model, np.ascontiguousarray(frame[..., ::-1]), number)["track_bboxes"][0]
        for number, frame in enumerate(frames)
    ]


def reference_smooth(config: Path, checkpoint: Path, frames: Sequence[np.ndarray], folder: Path) -> list[np.ndarray]:
    """By mmedit's API alone: all frames with those in between, from and to files in `folder`."""
    import cv2
    from mmedit.apis import init_model, video_interpolation_inference

    model = init_model(str(config), str(checkpoint), device="cpu")
    for name in ("in", "out"):
        (folder / name).mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / "in" / f"{number:04}.png"), frame[..., ::-1])
    video_interpolation_inference(model, str(folder / "in"), str(folder / "out"), batch_size=len(frames))
    return [cv2.imread(str(path))[..., ::-1] for path in sorted((folder / "out").iterdir())]


def main(folder: Path, clip: Path) -> None:
    """Write `tracks.json` and `smooth.npy` beside the small models that made them."""
    import torch

    from pipelines.media.video import VideoReader
    from tests.checkpoints.openmmlab import make_tiny_bytetrack, make_tiny_interpolator

    torch.set_num_threads(1)  # as in a replica: of boxes that score alike, the last bit chooses
    with clip.open("rb") as file, VideoReader(file, "mov", max_pixels=10_000_000) as video:
        frames = list(video.frames())
    tracks = reference_tracks(*make_tiny_bytetrack(folder), frames)
    (folder / "tracks.json").write_text(json.dumps([rows.tolist() for rows in tracks]))
    np.save(folder / "smooth.npy", reference_smooth(*make_tiny_interpolator(folder, "cain"), frames, folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
