"""Captions by Qwen3-VL, a language model that sees.

Checkpoint: Qwen/Qwen3-VL-2B-Instruct (Apache-2.0, https://arxiv.org/abs/2511.21631); the larger ones are read as well.
Describes more, and more exactly, than a captioning model, and like it can name things that are not in the image.
"""

import math
from typing import Any, ClassVar, Self

import numpy as np

from pipelines.contracts.progress import Progress
from pipelines.image_understanding.transformers.captioner import Captioner, TokenCounter, sentence
from pipelines.loading.device import DtypeName, Placement
from pipelines.loading.errors import reading, unreadable
from pipelines.loading.pretrained import read_image_processor, read_model, read_tokenizer
from pipelines.loading.weights import Weights
from pipelines.media import Rgb

REQUEST = "Describe this image in one sentence."
MAX_TOKENS = 80
PIXELS = {"shortest_edge": 256 * 256, "longest_edge": 768 * 768}
"""Pixels (their names are the library's) to which images are resized: at most 576 tokens, enough for a sentence."""
MAX_ASPECT = 200
"""Long side over short side; the library refuses more."""


class Qwen3VlCaptioner(Captioner):
    """One loaded `Qwen3VLForConditionalGeneration`. Not thread-safe.

    Args:
        model: on the device of `placement`.
        processor: prepares its images.
        tokenizer: turns text into its tokens and back.
        placement: device and number format.
        prompt: with one image token in place of the image.
    """

    auto_dtype: ClassVar[DtypeName] = "auto"

    def __init__(self, model: Any, processor: Any, tokenizer: Any, placement: Placement, prompt: str) -> None:
        self._model = model
        self._processor = processor
        self._tokenizer = tokenizer
        self._placement = placement
        self._prompt = prompt

    @classmethod
    def load(cls, weights: Weights, placement: Placement) -> Self:
        """Read the checkpoint: see the base class."""
        from transformers import AutoTokenizer, Qwen2VLImageProcessorPil, Qwen3VLForConditionalGeneration

        tokenizer = read_tokenizer(AutoTokenizer, weights)
        processor = read_image_processor(Qwen2VLImageProcessorPil, weights, size=PIXELS)
        model = read_model(Qwen3VLForConditionalGeneration, weights, placement)
        content = [{"type": "image"}, {"type": "text", "text": REQUEST}]
        with reading(weights.name):
            prompt = tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
        if prompt.count(tokenizer.convert_ids_to_tokens(model.config.image_token_id)) != 1:
            raise unreadable(weights.name)
        return cls(model, processor, tokenizer, placement, prompt)

    def caption(self, image: Rgb, *, progress: Progress) -> str:
        """Describe an image in a sentence: see the base class."""
        import torch

        inputs = self._processor(_within_aspect(image), input_data_format="channels_last", return_tensors="pt")
        tokens = self._tokens(inputs["image_grid_thw"])
        with torch.inference_mode():
            (answer,) = self._model.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                mm_token_type_ids=(tokens == self._model.config.image_token_id).int(),
                pixel_values=inputs["pixel_values"].to(self._placement.device, self._placement.dtype),
                image_grid_thw=inputs["image_grid_thw"].to(self._placement.device),
                max_new_tokens=MAX_TOKENS,
                do_sample=False,
                stopping_criteria=[TokenCounter(progress, MAX_TOKENS)],
            )
        return sentence(self._tokenizer.decode(answer[tokens.shape[1] :], skip_special_tokens=True))

    def _tokens(self, grid: Any) -> Any:
        """The prompt for an image of a grid (1, 3) of patches: int64 (1, N), one image token for each merged patch."""
        image_token = self._tokenizer.convert_ids_to_tokens(self._model.config.image_token_id)
        count = int(grid.prod()) // self._processor.merge_size**2
        prompt = self._prompt.replace(image_token, image_token * count)
        return self._tokenizer(prompt, return_tensors="pt")["input_ids"].to(self._placement.device)


def _within_aspect(image: Rgb) -> Rgb:
    """The image, its short side widened by its edge as far as the library needs."""
    height, width = image.shape[:2]
    least = math.ceil(max(height, width) / MAX_ASPECT)
    return np.pad(image, ((0, max(0, least - height)), (0, max(0, least - width)), (0, 0)), mode="edge")
