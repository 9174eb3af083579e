"""Small models of MMTracking and MMEditing with random weights, written as OpenMMLab's own tools write them.

Made in OpenMMLab's environment: `openmmlab/python`.
"""

from pathlib import Path
from typing import Any

SIZE = (256, 448)
"""Height and width that the small YOLOX looks at."""

BYTETRACK = """
_base_ = [{base!r}]
model = dict(
    detector=dict(
        init_cfg={init_cfg!r},
        input_size={size},
        backbone=dict(deepen_factor=0.33, widen_factor=0.375),
        neck=dict(in_channels=[96, 192, 384], out_channels=96, num_csp_blocks=1),
        bbox_head=dict(in_channels=96, feat_channels=96),
    ),
)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale={size},
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0], to_rgb=False),
            dict(type='Pad', size_divisor=32, pad_val=dict(img=(114.0, 114.0, 114.0))),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='VideoCollect', keys=['img']),
        ],
    ),
]
data = dict(test=dict(pipeline=test_pipeline))
"""

INTERPOLATOR = """
_base_ = [{base!r}]
model = dict(generator=dict({generator}))
"""

INTERPOLATORS = {
    "cain": ("cain/cain_b5_g1b32_vimeo90k_triplet", "num_block_groups=1, num_block_layers=2"),
    "flavr": (
        "flavr/flavr_in4out1_g8b4_vimeo90k_septuplet",
        "mid_channels_list=[32, 24, 16, 8], encoder_layers_list=[1, 1, 1, 1]",
    ),
}


def make_tiny_bytetrack(folder: Path, *, init_cfg: Any = None) -> tuple[Path, Path]:
    """ByteTrack with a YOLOX of 5 million parameters that takes dozens of places for pedestrians.

    Args:
        folder: where its config and its checkpoint go.
        init_cfg: of the detector, in the config.

    Returns:
        Config and checkpoint.
    """
    import torch
    from mmcv.runner import save_checkpoint
    from mmtrack.apis import init_model

    config, checkpoint = folder / "bytetrack.py", folder / "bytetrack.pth"
    base = "bytetrack/bytetrack_yolox_x_crowdhuman_mot17-private-half"
    config.write_text(BYTETRACK.format(base=_shipped("mmtrack", "mot", base), size=SIZE, init_cfg=None))
    torch.manual_seed(1)
    model = init_model(str(config), device="cpu")
    _make_it_see(model.detector)
    save_checkpoint(model, str(checkpoint), meta={"CLASSES": ("pedestrian",), "epoch": 1, "iter": 1})
    config.write_text(BYTETRACK.format(base=_shipped("mmtrack", "mot", base), size=SIZE, init_cfg=init_cfg))
    return config, checkpoint


def _make_it_see(detector: Any) -> None:
    """Random weights find nothing: spread each layer's numbers, and let some places count, as large as people."""
    import torch

    norms = [layer for layer in detector.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    detector.train()
    head = detector.bbox_head
    with torch.no_grad():
        head(detector.extract_feat(torch.rand(1, 3, *SIZE) * 255))
        torch.manual_seed(3)
        for convolution in (*head.multi_level_conv_obj, *head.multi_level_conv_cls):
            convolution.weight.normal_(0, 0.05)
            convolution.bias.fill_(-3)
        for convolution in head.multi_level_conv_reg:
            convolution.weight.normal_(0, 0.03)
            convolution.bias.copy_(torch.tensor([0, 0, 1, 1.5]))
    detector.eval()


def make_tiny_interpolator(folder: Path, name: str) -> tuple[Path, Path]:
    """A small CAIN or FLAVR, by its name in small letters; its config and its checkpoint."""
    import torch
    from mmcv.runner import save_checkpoint
    from mmedit.apis import init_model

    config, checkpoint = folder / f"{name}.py", folder / f"{name}.pth"
    base, generator = INTERPOLATORS[name]
    base = _shipped("mmedit", "video_interpolators", base)
    config.write_text(INTERPOLATOR.format(base=base, generator=generator))
    torch.manual_seed(2)
    save_checkpoint(init_model(str(config), device="cpu"), str(checkpoint), meta={"epoch": 1, "iter": 1})
    return config, checkpoint


def _shipped(package: str, folder: str, name: str) -> str:
    from importlib.util import find_spec

    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / ".mim" / "configs" / folder / f"{name}.py")
