"""Tiny captioning, classification and segmentation models in the published file layout, with random weights."""

from pathlib import Path
from typing import Any

WORDS = (
    *("a", "the", "of", "on", "in", "with", "and", "two", "red", "blue", "man", "woman", "dog", "cat", "street"),
    *("parked", "standing", "sitting", "table", "cup", "coffee", "rocket", "space", "suit", "photo", "tree", "bike"),
)
QWEN3_VL = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def make_tiny_blip(folder: Path, seed: int = 0, pickled: bool = False) -> Path:
    """BLIP for captions, with a BERT tokenizer. `pickled`: as Salesforce published the base size."""
    import torch
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipImageProcessorPil

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "##ing", "[DEC]"]
    tokenizer = BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, model_max_length=64)
    text = {
        **_SIZES,
        "vocab_size": len(pieces),
        "encoder_hidden_size": 32,
        "projection_dim": 16,
        "max_position_embeddings": 64,
        "bos_token_id": len(pieces) - 1,
        "eos_token_id": 2,
        "sep_token_id": 3,
        "pad_token_id": 0,
        "is_decoder": True,
        "initializer_range": 0.5,  # large, so that captions vary
    }
    vision = {**_SIZES, "image_size": 48, "patch_size": 16, "initializer_range": 0.3}
    torch.manual_seed(seed)
    model = BlipForConditionalGeneration(
        BlipConfig(text_config=text, vision_config=vision, projection_dim=16, image_text_hidden_size=16)
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    BlipImageProcessorPil(size={"height": 48, "width": 48}).save_pretrained(folder)
    if pickled:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def make_tiny_clip(folder: Path, seed: int = 0) -> Path:
    """CLIP, with a tokenizer of single bytes."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer({token: number for number, token in enumerate(tokens)}, [], model_max_length=77)
    text = {
        **_SIZES,
        "vocab_size": len(tokens),
        "max_position_embeddings": 77,
        "bos_token_id": len(tokens) - 2,
        "eos_token_id": len(tokens) - 1,
        "pad_token_id": len(tokens) - 1,
    }
    vision = {**_SIZES, "image_size": 32, "patch_size": 8}
    torch.manual_seed(seed)
    config = CLIPConfig(
        text_config=text, vision_config=vision, projection_dim=16, initializer_factor=5.0, logit_scale_init_value=4.6
    )
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def make_tiny_sam(folder: Path, seed: int = 0) -> Path:
    """SAM for squares of 128 pixels, with masks of 32."""
    import torch
    from transformers import SamConfig, SamImageProcessorPil, SamModel

    vision = {
        "hidden_size": 32,
        "output_channels": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 128,
        "patch_size": 16,
        "window_size": 3,
        "global_attn_indexes": [1],
        "num_pos_feats": 8,
        "mlp_dim": 48,
        "initializer_range": 0.3,
    }
    prompts = {"hidden_size": 16, "image_size": 128, "patch_size": 16, "mask_input_channels": 4}
    decoder = {
        "hidden_size": 16,
        "mlp_dim": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "iou_head_depth": 3,
        "iou_head_hidden_dim": 16,
    }
    torch.manual_seed(seed)
    model = SamModel(
        SamConfig(
            vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder, initializer_range=0.3
        )
    )
    with torch.no_grad():
        for answer in model.mask_decoder.output_hypernetworks_mlps:
            answer.proj_out.weight.mul_(100)  # otherwise all pixels are undecided
    model.save_pretrained(folder)
    processor = SamImageProcessorPil(
        size={"longest_edge": 128},
        pad_size={"height": 128, "width": 128},
        mask_size={"longest_edge": 32},
        mask_pad_size={"height": 32, "width": 32},
    )
    processor.save_pretrained(folder)
    return folder


def make_tiny_qwen3_vl(folder: Path, seed: int = 0) -> Path:
    """Qwen3-VL with its tokens and the part of its chat template that is for a user's images and texts."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import (
        GenerationConfig,
        Qwen2Tokenizer,
        Qwen2VLImageProcessorPil,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
    )

    named = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    letters = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Qwen2Tokenizer(
        {letter: number for number, letter in enumerate(letters)}, [], additional_special_tokens=named
    )
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.chat_template = QWEN3_VL
    ids = dict(zip(named, tokenizer.convert_tokens_to_ids(named), strict=True))
    text = {
        **_SIZES,
        "vocab_size": len(tokenizer),
        "num_key_value_heads": 2,
        "head_dim": 16,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000,
            "mrope_section": [4, 2, 2],
            "mrope_interleaved": True,
        },
        "initializer_range": 0.3,
    }
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 4,
        "out_hidden_size": 32,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
        "initializer_range": 0.3,
    }
    torch.manual_seed(seed)
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    model = Qwen3VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(eos_token_id=ids["<|im_end|>"], pad_token_id=0, do_sample=True, top_k=20)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"shortest_edge": 65536, "longest_edge": 16777216}
    Qwen2VLImageProcessorPil(patch_size=16, image_mean=[0.5] * 3, image_std=[0.5] * 3, size=size).save_pretrained(
        folder
    )
    return folder


def make_tiny_siglip2(folder: Path, seed: int = 0) -> Path:
    """SigLIP 2 for squares: SigLIP's model with Gemma's tokenizer."""
    from transformers import GemmaTokenizer, SiglipConfig, SiglipImageProcessorPil, SiglipModel

    vision = {"image_size": 32, "patch_size": 8}
    processor = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    return _siglip(folder, seed, (SiglipModel, SiglipConfig, GemmaTokenizer), vision, processor)


def make_tiny_siglip2_naflex(folder: Path, seed: int = 0) -> Path:
    """SigLIP 2 that keeps the image's shape."""
    from transformers import Siglip2Config, Siglip2ImageProcessorPil, Siglip2Model, Siglip2Tokenizer

    vision = {"patch_size": 8, "num_patches": 16}
    processor = Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
    return _siglip(folder, seed, (Siglip2Model, Siglip2Config, Siglip2Tokenizer), vision, processor)


def _siglip(folder: Path, seed: int, classes: tuple[Any, Any, Any], vision: dict[str, int], processor: Any) -> Path:
    """Of the classes (model, configuration, tokenizer)."""
    import torch

    model, configuration, tokenizer = classes
    vocabulary = _gemma_vocabulary()
    torch.manual_seed(seed)
    config = configuration(
        text_config={**_SIZES, "vocab_size": len(vocabulary), "max_position_embeddings": 64},
        vision_config={**_SIZES, **vision},
    )
    _spread(model(config)).save_pretrained(folder)
    tokenizer(vocabulary, [], padding_side="right", add_bos_token=False, add_eos_token=True).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _gemma_vocabulary() -> dict[str, int]:
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    return {piece: number for number, piece in enumerate([*pieces, *(chr(code) for code in range(33, 127))])}


def _spread(model):
    """Make SigLIP's scores differ from name to name and from image to image."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2:
                parameter.normal_(std=0.3)
            if name == "logit_scale":
                parameter.fill_(3.4)
            if name == "logit_bias":
                parameter.fill_(-1.0)
    return model


def make_tiny_sam2(folder: Path, seed: int = 6) -> Path:
    """SAM 2.1 as it is published, for videos and images: squares of 128 pixels, masks of 32."""
    import json

    import torch
    from transformers import Sam2HieraDetConfig, Sam2VideoConfig, Sam2VideoModel, Sam2VisionConfig

    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[128, 128],
        window_positional_embedding_background_size=[4, 4],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 2, 4, 2],
        global_attention_blocks=[3],
        initializer_range=0.3,
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
        fpn_hidden_size=32,
        initializer_range=0.3,
    )
    memory = {
        "memory_attention_hidden_size": 32,
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 32,
        "memory_attention_rope_feat_sizes": [8, 8],
        "memory_encoder_hidden_size": 32,
        "memory_encoder_output_channels": 16,
        "mask_downsampler_embed_dim": 32,
        "memory_fuser_embed_dim": 32,
        "memory_fuser_intermediate_dim": 32,
    }
    torch.manual_seed(seed)
    config = Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32, "image_size": 128, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
        image_size=128,
        initializer_range=0.3,
        **memory,
    )
    model = Sam2VideoModel(config)
    with torch.no_grad():
        for name, parameter in model.mask_decoder.named_parameters():
            if parameter.ndim >= 2:
                parameter.normal_(std=0.9 if "mlps" in name or "transformer" in name else 0.3)  # masks follow points
    model.save_pretrained(folder)
    processor = {
        "image_processor_type": "Sam2ImageProcessorFast",  # it would need torchvision
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": 128, "width": 128},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "mask_size": {"height": 32, "width": 32},
        "do_center_crop": None,
        "crop_size": None,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder
