"""Tiny object detectors in the published file layout: random weights, five classes, frames of 160 × 160 pixels."""

from pathlib import Path

LABELS = ("person", "bicycle", "car", "dog", "truck")
_SIZES = {
    "encoder_in_channels": [8, 16, 16],
    "encoder_hidden_dim": 32,
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "d_model": 32,
    "decoder_in_channels": [32, 32, 32],
    "decoder_ffn_dim": 32,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "num_queries": 30,
    "hidden_expansion": 0.5,
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: number for number, label in enumerate(LABELS)},
}


def make_tiny_dfine(folder: Path, seed: int = 0) -> Path:
    """D-FINE on HGNetV2."""
    import torch
    from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config

    backbone = HGNetV2Config(
        embedding_size=4,
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        stem_channels=[3, 4, 4],
        stage_in_channels=[4, 8, 8, 16],
        stage_mid_channels=[4, 4, 8, 8],
        stage_out_channels=[8, 8, 16, 16],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        use_learnable_affine_block=True,
        out_indices=[2, 3, 4],
    )
    config = DFineConfig(
        backbone_config=backbone,
        decoder_n_points=[3, 6, 3],
        lqe_hidden_dim=8,
        max_num_bins=8,
        depth_mult=0.34,
        **_SIZES,
    )
    torch.manual_seed(seed)
    return _saved(folder, DFineForObjectDetection(config))


def make_tiny_rtdetr_v2(folder: Path, seed: int = 0) -> Path:
    """RT-DETR v2 on the ResNet of RT-DETR."""
    import torch
    from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic", out_indices=[2, 3, 4]
    )
    config = RTDetrV2Config(backbone_config=backbone, **_SIZES)
    torch.manual_seed(seed)
    return _saved(folder, RTDetrV2ForObjectDetection(config))


def make_tiny_rf_detr(folder: Path, seed: int = 0) -> Path:
    """RF-DETR on its windowed DINOv2, with DETR's image processor as it is published."""
    import torch
    from transformers import DetrImageProcessorPil, RfDetrConfig, RfDetrDinov2Config, RfDetrForObjectDetection

    backbone = RfDetrDinov2Config(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=160,
        patch_size=16,
        num_windows=2,
        out_features=["stage1", "stage3"],
        initializer_range=0.2,
    )
    config = RfDetrConfig(
        backbone_config=backbone,
        d_model=32,
        decoder_layers=2,
        decoder_self_attention_heads=2,
        decoder_cross_attention_heads=4,
        decoder_n_points=2,
        decoder_ffn_dim=32,
        num_queries=30,
        group_detr=2,
        id2label=_SIZES["id2label"],
        label2id=_SIZES["label2id"],
    )
    torch.manual_seed(seed)
    return _saved(folder, RfDetrForObjectDetection(config), DetrImageProcessorPil)


def _saved(folder: Path, model, processor=None) -> Path:
    import torch
    from transformers import RTDetrImageProcessorPil

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # As made, nothing depends much on the image: classes score alike, boxes stand on a grid.
            if parameter.ndim == 4:
                torch.nn.init.kaiming_normal_(parameter)
            if "class_embed" in name or "score_head" in name:
                parameter.normal_(mean=-0.5 if parameter.ndim == 1 else 0, std=0.2)
            if "bbox_embed" in name and name.endswith("layers.2.weight"):
                parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    (processor or RTDetrImageProcessorPil)(size={"height": 160, "width": 160}).save_pretrained(folder)
    return folder
