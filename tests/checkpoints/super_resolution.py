"""Small Real-ESRGAN checkpoints of the real architectures, in the layout of the published files.

Values are seeded and scaled so that activations neither fade nor grow from layer to layer, as in trained networks.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from pipelines.super_resolution.real_esrgan.rrdbnet import RRDBNet
from pipelines.super_resolution.real_esrgan.srvgg import SRVGGNetCompact


def make_tiny_rrdbnet(
    folder: Path,
    file: str = "RealESRGAN_x4plus.pth",
    *,
    scale: int = 4,
    features: int = 16,
    blocks: int = 2,
    growth: int = 8,
    kept_as: str | None = "params_ema",
) -> Path:
    """RRDBNet in `folder/file`; `.safetensors` by its name. The published ones: 64 features, 23 blocks, growth 32."""
    tensors = seeded(RRDBNet(scale=scale, features=features, blocks=blocks, growth=growth).state_dict())
    tensors["conv_last.weight"] *= 0.1 / tensors["conv_last.weight"].std() / math.sqrt(9 * features)
    tensors["conv_last.bias"] += 0.5
    return save(tensors, folder / file, kept_as)


def make_tiny_srvgg(
    folder: Path,
    file: str = "realesr-general-x4v3.pth",
    *,
    scale: int = 4,
    features: int = 8,
    convolutions: int = 4,
    kept_as: str | None = "params",
) -> Path:
    """SRVGGNetCompact in `folder/file`. The published general-x4v3: 64 features, 32 convolutions."""
    tensors = seeded(SRVGGNetCompact(scale=scale, features=features, convolutions=convolutions).state_dict())
    tensors[f"body.{2 * convolutions + 2}.weight"] *= 0.1
    return save(tensors, folder / file, kept_as)


def seeded(tensors: Mapping[str, torch.Tensor], seed: int = 0) -> dict[str, torch.Tensor]:
    """The same names and shapes with values from `seed`, whatever the library's version."""
    numbers = np.random.RandomState(seed)
    made = {}
    for name, tensor in sorted(tensors.items()):
        values = numbers.standard_normal(tuple(tensor.shape)).astype(np.float32)
        if values.ndim == 4:
            values *= math.sqrt(2 / values[0].size)
        elif name.endswith("bias"):
            values *= 0.02
        else:  # slopes of PReLU
            values = 0.2 + 0.05 * values
        made[name] = torch.from_numpy(values)
    return made


def save(tensors: dict[str, torch.Tensor], path: Path, kept_as: str | None = None) -> Path:
    """Write by the file's extension: safetensors, or PyTorch's own format, there optionally under a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors if kept_as is None else {kept_as: tensors}, path)
    return path
