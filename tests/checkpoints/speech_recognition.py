"""A tiny Whisper in the layout of the published CTranslate2 models: random weights, a byte-level tokenizer."""

from pathlib import Path

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TIMESTAMPS = 1501  # 0.00 to 30.00 s


def make_tiny_whisper(folder: Path, seed: int = 0, *, english: bool = False, mels: int = 80, width: int = 32) -> Path:
    """Whisper with its special tokens at their published ids, converted as the published models were.

    It babbles letters, spaces and full stops: the other tokens of its vocabulary have small embeddings.

    Args:
        folder: where it is saved; must not exist.
        seed: of the weights.
        english: as the models that end in ".en", which know one language.
        mels: bands of the spectrogram; 128 in large-v3.
        width: of the layers.
    """
    import tempfile

    from ctranslate2.converters import TransformersConverter
    from transformers import WhisperFeatureExtractor

    with tempfile.TemporaryDirectory() as source:
        tokenizer = _tokenizer(english=english)
        tokenizer.save_pretrained(source)
        WhisperFeatureExtractor(feature_size=mels).save_pretrained(source)
        _model(tokenizer, seed, mels, width).save_pretrained(source)
        copied = ["tokenizer.json"] if mels == 80 else ["tokenizer.json", "preprocessor_config.json"]
        TransformersConverter(source, copy_files=copied).convert(folder)
    return folder


def _tokenizer(*, english: bool):
    from tokenizers import pre_tokenizers
    from transformers import WhisperTokenizer
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    starts = [*LETTERS, "-", "'"]  # a space is never said alone: it starts a word
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("Ġ" + letter for letter in starts)]
    tokens += [f"<unused {index}>" for index in range(len(tokens), 50256)]
    if not english:
        tokens.append("")  # by which CTranslate2 knows a multilingual model
    special = ["<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES), "<|translate|>", "<|transcribe|>"]
    special += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    tokenizer = WhisperTokenizer(
        {token: index for index, token in enumerate([*tokens, "<|endoftext|>"])},
        [("Ġ", letter) for letter in starts],
        extra_special_tokens=special,
    )
    tokenizer.add_tokens([f"<|{0.02 * index:.2f}|>" for index in range(TIMESTAMPS)])
    return tokenizer


def _model(tokenizer, seed: int, mels: int, width: int):
    import torch
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(tokenizer),
            num_mel_bins=mels,
            d_model=width,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=2 * width,
            decoder_ffn_dim=2 * width,
            init_std=0.3,
            pad_token_id=end,
            bos_token_id=end,
            eos_token_id=end,
            decoder_start_token_id=end + 1,
            suppress_tokens=[],
            begin_suppress_tokens=[],
        )
    )
    said = [*LETTERS, *("Ġ" + letter for letter in LETTERS), ".", ","]
    with torch.no_grad():
        loud = torch.full((len(tokenizer), 1), 0.1)
        loud[tokenizer.convert_tokens_to_ids(said)] = 1.0
        loud[end] = 1.2
        model.model.decoder.embed_tokens.weight *= loud
        model.model.decoder.embed_positions.weight *= 3
    languages = [f"<|{code}|>" for code in LANGUAGES]
    model.generation_config = GenerationConfig(
        suppress_tokens=[],
        begin_suppress_tokens=[end],
        lang_to_id=dict(zip(languages, tokenizer.convert_tokens_to_ids(languages), strict=True)),
    )
    return model
