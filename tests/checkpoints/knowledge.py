"""Tiny embedding models and rerankers in the published file layout: random weights, a tokenizer made on the spot."""

from pathlib import Path

WORDS = (
    *("the", "a", "is", "are", "of", "in", "to", "how", "many", "what", "who", "query", "passage", "report", "water"),
    *("pump", "weighs", "kilograms", "library", "open", "from", "nine", "six", "data", "bridge", "closed", "was"),
)
CHINESE = "服务器每天凌晨两点自动备份，备份文件保留九十天。数据中心位于贵阳市"
_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.3,
}


def make_tiny_bge_m3(folder: Path, seed: int = 0, prompts: dict[str, str] | None = None, pickled: bool = False) -> Path:
    """XLM-RoBERTa, the first token's vector, normalized; its tokenizer knows Chinese. As published: `pickled`."""
    import torch
    from transformers import XLMRobertaModel

    config, tokenizer = _xlm_roberta()
    torch.manual_seed(seed)
    return _saved(folder, XLMRobertaModel(config), tokenizer, "cls", prompts=prompts, pickled=pickled)


def make_tiny_bge_reranker(folder: Path, seed: int = 0, scores: int = 1) -> Path:
    """XLM-RoBERTa with a classifier of one output, as bge-reranker-v2-m3."""
    import torch
    from transformers import XLMRobertaForSequenceClassification

    config, tokenizer = _xlm_roberta(num_labels=scores)
    torch.manual_seed(seed)
    XLMRobertaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _xlm_roberta(**options: int):
    """Its configuration and tokenizer."""
    from transformers import XLMRobertaConfig, XLMRobertaTokenizer

    pieces = [
        *(f"▁{word}" for word in WORDS),
        *dict.fromkeys(CHINESE),
        "▁",
        "备份",
        "服务器",
        *"abcdefghijklmnopqrstuvwxyz.?:0",
    ]
    marks = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary = [*marks, *((piece, -float(len(WORDS)) / len(piece)) for piece in pieces), ("<mask>", 0.0)]
    sizes = {"vocab_size": len(vocabulary), "max_position_embeddings": 130, "type_vocab_size": 1, **_SIZES}
    return XLMRobertaConfig(**sizes, **options), XLMRobertaTokenizer(vocab=vocabulary, model_max_length=128)


def make_tiny_minilm(folder: Path, seed: int = 0, hidden_size: int = 24) -> Path:
    """BERT, the mean of the tokens' vectors, normalized; its tokenizer knows no Chinese."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz.?:0"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *(f"##{letter}" for letter in letters)]
    torch.manual_seed(seed)
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    config = BertConfig(
        vocab_size=len(vocabulary), max_position_embeddings=128, **(_SIZES | {"hidden_size": hidden_size})
    )
    tokenizer = BertTokenizer(vocab=vocabulary, model_max_length=128)
    return _saved(folder, BertModel(config), tokenizer, "mean")


def _saved(
    folder: Path, model, tokenizer, pooling: str, *, prompts: dict[str, str] | None = None, pickled: bool = False
) -> Path:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer

    plain = folder.with_name(folder.name + "-plain")
    model.save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    words = Transformer(str(plain))
    pooled = Pooling(words.get_embedding_dimension(), pooling_mode=pooling)
    SentenceTransformer(modules=[words, pooled, Normalize()], device="cpu", prompts=prompts).save(str(folder))
    if pickled:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder
