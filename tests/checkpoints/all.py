"""Tiny checkpoints of the default neural engine of every capability, and the configurations that name them."""

from pathlib import Path
from typing import Any

from tests.checkpoints.chat import make_tiny_qwen2
from tests.checkpoints.frame_interpolation import make_tiny_rife
from tests.checkpoints.image_generation import make_tiny_latent_consistency
from tests.checkpoints.image_understanding import make_tiny_blip, make_tiny_clip, make_tiny_sam
from tests.checkpoints.knowledge import make_tiny_bge_m3, make_tiny_bge_reranker
from tests.checkpoints.object_tracking import make_tiny_dfine
from tests.checkpoints.speech_recognition import make_tiny_whisper
from tests.checkpoints.speech_synthesis import make_tiny_kokoro
from tests.checkpoints.super_resolution import make_tiny_rrdbnet
from tests.checkpoints.video_generation import make_tiny_wan

Chosen = dict[str, dict[str, Any]]
"""`user_config` by capability."""


def make_all(home: Path, *, width: int | None = None) -> Chosen:
    """Make every checkpoint in its own folder below `home`.

    Args:
        home: an empty folder.
        width: of the layers of the language model and the recognizer, to give them something to compute.
    """
    sizes = {} if width is None else {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 6}
    names = ("sr", "rife", "bge", "qwen", "lcm", "blip", "clip", "sam", "dfine", "wan")
    folders = {name: home / name for name in names}
    for folder in folders.values():
        folder.mkdir()
    upscaler = make_tiny_rrdbnet(folders["sr"])
    make_tiny_rife(folders["rife"])
    return {
        "knowledge": {
            "engine": "sentence-transformers",
            "model": str(make_tiny_bge_m3(folders["bge"])),
            "reranker": str(make_tiny_bge_reranker(home / "reranker")),
        },
        "chat": {"engine": "transformers", "model": str(make_tiny_qwen2(folders["qwen"], **sizes))},
        "speech_recognition": {
            "engine": "faster-whisper",
            "model": str(make_tiny_whisper(home / "whisper", width=width or 32)),
            "compute_type": "float32",
        },
        "speech_synthesis": {"engine": "kokoro", "model": str(make_tiny_kokoro(home / "kokoro"))},
        "image_generation": {
            "engine": "diffusers",
            "model": str(make_tiny_latent_consistency(folders["lcm"])),
            "steps": 2,
        },
        "image_understanding": {
            "engine": "transformers",
            "caption_model": str(make_tiny_blip(folders["blip"])),
            "class_model": str(make_tiny_clip(folders["clip"])),
            "segmentation_model": str(make_tiny_sam(folders["sam"])),
            "points_per_side": 4,
            "least_quality": 0.3,
            "least_stability": 0.75,
        },
        "super_resolution": {"engine": "real-esrgan", "model": str(folders["sr"]), "file": upscaler.name},
        "object_tracking": {"engine": "transformers", "model": str(make_tiny_dfine(folders["dfine"]))},
        "video_generation": {
            "engine": "diffusers",
            "model": str(make_tiny_wan(folders["wan"])),
            "steps": 2,
            "pixels": 4096,
        },
        "frame_interpolation": {"engine": "rife", "model": str(folders["rife"])},
    }
