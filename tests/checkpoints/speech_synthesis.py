"""Tiny speech synthesizers in the published file layouts: random weights."""

from collections.abc import Sequence
from pathlib import Path

KOKORO_VOICES = ("af_heart", "af_bella", "am_adam", "bf_emma", "ef_dora", "ff_siwis", "zf_xiaoxiao", "jf_alpha")


def make_tiny_kokoro(folder: Path, seed: int = 0, voices: Sequence[str] = KOKORO_VOICES) -> Path:
    """A graph with Kokoro's inputs and outputs in onnx-community's layout, and styles by the count of phonemes.

    Each phoneme becomes 600 / speed samples that depend on it and on the style.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)

    def constant(name: str, value: object, kind: type) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(value, kind), name)

    weights = [
        constant("embeddings", rng.standard_normal((178, 8)), np.float32),
        constant("from_style", rng.standard_normal((256, 8)), np.float32),
        constant("to_audio", 0.1 * rng.standard_normal((8, 600)), np.float32),
        constant("flat", [1, -1], np.int64),
        constant("zero", 0, np.float32),
        constant("one", 1, np.int64),
        constant("scalar", [], np.int64),
    ]
    nodes = [
        helper.make_node("Gather", ["embeddings", "input_ids"], ["embedded"]),
        helper.make_node("MatMul", ["style", "from_style"], ["styled"]),
        helper.make_node("Add", ["embedded", "styled"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["state"]),
        helper.make_node("MatMul", ["state", "to_audio"], ["frames"]),
        helper.make_node("Reshape", ["frames", "flat"], ["audio"]),
        helper.make_node("Size", ["audio"], ["size"]),
        helper.make_node("Sub", ["size", "one"], ["last"]),  # for steps are rounded
        helper.make_node("Cast", ["last"], ["samples"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["speed", "scalar"], ["step"]),
        helper.make_node("Range", ["zero", "samples", "step"], ["at"]),
        helper.make_node("Cast", ["at"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["audio", "index"], ["waveform"], axis=1),
    ]
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "phonemes"]),
        helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, 256]),
        helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
    ]
    outputs = [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "samples"])]
    graph = helper.make_graph(nodes, "kokoro", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for part in ("onnx", "voices"):
        (folder / part).mkdir(parents=True)
    onnx.save(model, folder / "onnx" / "model.onnx")
    for name in voices:
        (rng.standard_normal((510, 1, 256)) / 16).astype("<f4").tofile(folder / "voices" / f"{name}.bin")
    return folder


def make_tiny_vits(folder: Path, seed: int = 0, *, speakers: int = 1, phonemes: bool = False) -> Path:
    """VITS with a stochastic duration predictor.

    Args:
        folder: where it is saved.
        seed: of the weights.
        speakers: as vits-vctk, if more than one.
        phonemes: reads eSpeak NG's phonemes, as vits-ljs; else small letters, as the MMS voices.
    """
    import json

    import torch
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz '-,.!?"
    if phonemes:
        letters += "ɑɐɒæɔəɚɛɜɡɪŋɹɾʃʊʌʒθðˈˌːᵻ"
    folder.mkdir(parents=True)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({"_": 0} | {letter: index for index, letter in enumerate(letters, 1)}))
    VitsTokenizer(str(vocabulary), pad_token="_", phonemize=phonemes).save_pretrained(folder)
    torch.manual_seed(seed)
    model = VitsModel(
        VitsConfig(
            vocab_size=len(letters) + 1,
            hidden_size=16,
            num_hidden_layers=1,
            ffn_dim=16,
            flow_size=16,
            spectrogram_bins=9,
            num_speakers=speakers,
            speaker_embedding_size=8 if speakers > 1 else 0,
            upsample_initial_channel=16,
            upsample_rates=(4, 4),
            upsample_kernel_sizes=(8, 8),
            resblock_kernel_sizes=(3,),
            resblock_dilation_sizes=((1, 3),),
            depth_separable_num_layers=1,
            duration_predictor_num_flows=2,
            prior_encoder_num_flows=2,
            prior_encoder_num_wavenet_layers=1,
            duration_predictor_filter_channels=16,
            posterior_encoder_num_wavenet_layers=1,
            sampling_rate=22_050 if phonemes else 16_000,
        )
    )
    with torch.no_grad():
        model.decoder.conv_post.weight *= 0.01  # quiet enough not to be cut off
    model.save_pretrained(folder)
    return folder
