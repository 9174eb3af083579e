"""Tiny language models in the published file layout: random weights, a tokenizer made on the spot, a chat template."""

from pathlib import Path

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN3 = CHATML.removesuffix("{% endif %}") + (
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
INST = (
    "{{ bos_token }}{% for message in messages %}{% if loop.first and message.role == 'system' %}"
    "<<SYS>>{{ message.content }}<</SYS>>{% elif message.role == 'user' %}[INST] {{ message.content }} [/INST]"
    "{% elif message.role == 'assistant' %} {{ message.content }} {{ eos_token }}"
    "{% else %}{{ raise_exception('Only a first system message, users and assistants!') }}{% endif %}{% endfor %}"
)
CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.",
    "Answer the user's last question from the document passages below; do not guess.",
    "What is the capital of France? The capital of France is Paris, a city on the river Seine.",
    "数据中心位于贵阳市，占地面积十二万平方米。服务器每天凌晨两点自动备份。",
    "Grüße aus Köln: 12,5 % günstiger! 🙂🎉 naïve café",
]
_SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,  # large, so that answers vary and the likeliest token leads by far
}


def make_tiny_qwen2(folder: Path, seed: int = 0, max_position_embeddings: int = 2048, **sizes: int) -> Path:
    """Qwen2 with its byte-level tokenizer and ChatML template; `sizes` override its configuration."""
    return _make_qwen(folder, "qwen2", CHATML, seed, {"max_position_embeddings": max_position_embeddings, **sizes})


def make_tiny_qwen3(folder: Path, seed: int = 0, **sizes: int) -> Path:
    """Qwen3 with the part of its template that says whether it thinks, and heads wider than the hidden size gives."""
    return _make_qwen(folder, "qwen3", QWEN3, seed, {"max_position_embeddings": 2048, "head_dim": 32, **sizes})


def _make_qwen(folder: Path, kind: str, template: str, seed: int, sizes: dict[str, int]) -> Path:
    import torch
    from tokenizers import pre_tokenizers, trainers
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, Qwen2Tokenizer

    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    vocab, merges = _trained(trainer, pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer = Qwen2Tokenizer(vocab, merges, additional_special_tokens=["<|im_start|>", "<|im_end|>"])
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.chat_template = template
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), tie_word_embeddings=True, **{**_SIZES, **sizes})
    model = AutoModelForCausalLM.from_config(config)
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=ends[1])
    return _saved(folder, model, tokenizer)


def make_tiny_llama(folder: Path, seed: int = 0, max_position_embeddings: int = 2048) -> Path:
    """Llama with its template and a tokenizer with SentencePiece's word boundaries and byte fallback."""
    import torch
    from tokenizers import pre_tokenizers, trainers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, LlamaTokenizer

    named = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=520, special_tokens=named, show_progress=False)
    vocab, merges = _trained(trainer, pre_tokenizers.Metaspace(prepend_scheme="first"))
    tokenizer = LlamaTokenizer(vocab, merges)
    tokenizer.chat_template = INST
    torch.manual_seed(seed)
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=max_position_embeddings, **_SIZES)
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=2, bos_token_id=1, pad_token_id=0)
    return _saved(folder, model, tokenizer)


def _trained(trainer, splitter) -> tuple[dict[str, int], list[tuple[str, str]]]:
    import json

    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = splitter
    tokenizer.train_from_iterator(CORPUS, trainer)
    made = json.loads(tokenizer.to_str())["model"]
    return made["vocab"], [tuple(pair) for pair in made["merges"]]


def _saved(folder: Path, model, tokenizer) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
