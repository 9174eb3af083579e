"""Tiny text-to-image models in the published file layout: random weights, tokenizers of single bytes."""

from pathlib import Path

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CLIP_SIZES = {"hidden_size": 32, "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 2}


def make_tiny_stable_diffusion(folder: Path, seed: int = 0, flags: float | None = None) -> Path:
    """Stable Diffusion 1.5: CLIP text encoder, UNet, autoencoder of factor 8.

    Args:
        folder: where it is saved.
        seed: of the weights.
        flags: makes the safety checker flag an image whose features' cosine with one drawn concept is above this
            (-2: all, 2: none); none: no safety checker.
    """
    import torch
    from diffusers import PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    torch.manual_seed(seed)
    checker = _safety_checker(flags) if flags is not None else None
    pipeline = StableDiffusionPipeline(
        vae=_autoencoder(),
        text_encoder=_clip_text_encoder(),
        tokenizer=_clip_tokenizer(),
        unet=UNet2DConditionModel(**_UNET_SIZES),
        scheduler=PNDMScheduler(**_NOISE, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1),
        safety_checker=checker,
        feature_extractor=_feature_extractor() if checker is not None else None,
        requires_safety_checker=checker is not None,
    )
    return _saved(folder, pipeline)


def make_tiny_latent_consistency(folder: Path, seed: int = 0) -> Path:
    """A latent consistency model on Stable Diffusion 1.5, as LCM_Dreamshaper_v7: noise is drawn at every step."""
    import torch
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler, UNet2DConditionModel

    torch.manual_seed(seed)
    pipeline = LatentConsistencyModelPipeline(
        vae=_autoencoder(),
        text_encoder=_clip_text_encoder(),
        tokenizer=_clip_tokenizer(),
        unet=UNet2DConditionModel(**_UNET_SIZES, time_cond_proj_dim=32),
        scheduler=LCMScheduler(**_NOISE),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return _saved(folder, pipeline)


def make_tiny_flux2_klein(folder: Path, seed: int = 0) -> Path:
    """FLUX.2 [klein], step-distilled: Qwen3 text encoder of 28 layers, double- and single-stream transformer."""
    import torch
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = _qwen_tokenizer()
    torch.manual_seed(seed)
    text_encoder = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=28,  # layers 9, 18 and 27 are read
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=512,
    )
    transformer = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=32,
        axes_dims_rope=[4, 4, 4, 4],
        guidance_embeds=False,
    )
    autoencoder = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 4, 4),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=1,
        sample_size=32,
    )
    pipeline = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=autoencoder,
        text_encoder=Qwen3ForCausalLM(text_encoder),
        tokenizer=tokenizer,
        transformer=transformer,
        is_distilled=True,
    )
    return _saved(folder, pipeline)


_NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
_UNET_SIZES = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": 8,
}


def _autoencoder():
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=[8, 8, 16, 16],
        norm_num_groups=8,
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        latent_channels=4,
        layers_per_block=1,
        sample_size=64,
    )


def _clip_text_encoder():
    from transformers import CLIPTextConfig, CLIPTextModel

    sizes = {"vocab_size": 514, "bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 1}
    return CLIPTextModel(CLIPTextConfig(**_CLIP_SIZES, **sizes, max_position_embeddings=77))


def _clip_tokenizer():
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer({token: index for index, token in enumerate(tokens)}, [], model_max_length=77)


def _qwen_tokenizer():
    from tokenizers import pre_tokenizers
    from transformers import Qwen2Tokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Qwen2Tokenizer(
        {token: index for index, token in enumerate(letters)},
        [],
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )
    tokenizer.pad_token = "<|endoftext|>"
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _safety_checker(flags: float):
    import torch
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    vision = {**_CLIP_SIZES, "image_size": 32, "patch_size": 8}
    checker = StableDiffusionSafetyChecker(
        CLIPConfig(text_config=dict(_CLIP_SIZES), vision_config=vision, projection_dim=32)
    )
    with torch.no_grad():
        checker.concept_embeds.normal_()
        checker.concept_embeds_weights.fill_(2.0)
        checker.concept_embeds_weights[0] = flags
        checker.special_care_embeds_weights.fill_(2.0)
    return checker


def _feature_extractor():
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(crop_size=32, size=32)


def _saved(folder: Path, pipeline) -> Path:
    pipeline.save_pretrained(folder)
    return folder
