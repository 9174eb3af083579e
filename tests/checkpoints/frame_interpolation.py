"""Small RIFE checkpoints of the real architecture, in the layout of the published files."""

import io
import zipfile
from pathlib import Path

import torch

from pipelines.frame_interpolation.rife.ifnet import IFNet, Shape
from tests.checkpoints.super_resolution import save, seeded

SHAPES = {
    "4.6": Shape(widths=(16, 12, 8, 8), encoder=0, features=0, outputs=6),
    "4.18": Shape(widths=(16, 12, 8, 8), encoder=8, features=4, outputs=6),
    "4.22": Shape(widths=(16, 12, 8, 8), encoder=8, features=4, outputs=13),
    "4.26": Shape(widths=(16, 12, 8, 8, 4), encoder=4, features=2, outputs=13),
}


def make_tiny_rife(folder: Path, file: str = "RIFEv4.26_0921.zip", *, version: str = "4.26") -> Path:
    """IFNet in `folder/file`: a zip as on the hub, a `.pkl`, or `.safetensors`, by its name."""
    tensors = seeded(IFNet(SHAPES[version]).state_dict())
    return save_flownet(tensors, folder / file)


def save_flownet(tensors: dict[str, torch.Tensor], path: Path) -> Path:
    """Write with the prefix and the networks of the training that the published files have too."""
    tensors = {f"module.{name}": tensor for name, tensor in tensors.items()}
    tensors |= {"module.teacher.conv0.0.0.weight": torch.ones(2, 3, 3, 3), "module.caltime.0.weight": torch.ones(8, 9)}
    if path.suffix != ".zip":
        return save(tensors, path)
    flownet = io.BytesIO()
    torch.save(tensors, flownet)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/RIFE_HDv3.py", "raise SystemExit('never run')")
        archive.writestr(f"{path.stem}/flownet.pkl", flownet.getvalue())
        archive.writestr(f"__MACOSX/{path.stem}/._flownet.pkl", b"\0")
    return path
