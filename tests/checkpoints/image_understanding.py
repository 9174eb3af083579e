"""Tiny captioning, classification and segmentation models in the published file layout, with random weights."""

from pathlib import Path

WORDS = (
    *("a", "the", "of", "on", "in", "with", "and", "two", "red", "blue", "man", "woman", "dog", "cat", "street"),
    *("parked", "standing", "sitting", "table", "cup", "coffee", "rocket", "space", "suit", "photo", "tree", "bike"),
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
