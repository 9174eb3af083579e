"""Captions by BLIP.

Checkpoint: Salesforce/blip-image-captioning-base (BSD-3-Clause, https://arxiv.org/abs/2201.12086).
Says what is likely, in English; it can name things that are not in the image.
"""

from typing import Any, Self

from pipelines.contracts.progress import Progress
from pipelines.image_understanding.transformers.captioner import Captioner, TokenCounter, sentence
from pipelines.loading.device import Placement
from pipelines.loading.pretrained import read_image_processor, read_model, read_tokenizer
from pipelines.loading.weights import Weights
from pipelines.media import Rgb

BEAMS = 3
MAX_TOKENS = 30


class BlipCaptioner(Captioner):
    """One loaded `BlipForConditionalGeneration`. Not thread-safe.

    Args:
        model: on the device of `placement`.
        processor: prepares its images.
        tokenizer: turns its tokens into text.
        placement: device and number format.
    """

    def __init__(self, model: Any, processor: Any, tokenizer: Any, placement: Placement) -> None:
        self._model = model
        self._processor = processor
        self._tokenizer = tokenizer
        self._placement = placement

    @classmethod
    def load(cls, weights: Weights, placement: Placement) -> Self:
        """Read the checkpoint: see the base class."""
        from transformers import AutoTokenizer, BlipForConditionalGeneration, BlipImageProcessorPil

        tokenizer = read_tokenizer(AutoTokenizer, weights)
        processor = read_image_processor(BlipImageProcessorPil, weights)
        return cls(read_model(BlipForConditionalGeneration, weights, placement), processor, tokenizer, placement)

    def caption(self, image: Rgb, *, progress: Progress) -> str:
        """Describe an image in a sentence: see the base class."""
        import torch

        inputs = self._processor(image, input_data_format="channels_last", return_tensors="pt")
        with torch.inference_mode():
            (tokens,) = self._model.generate(
                pixel_values=inputs["pixel_values"].to(self._placement.device, self._placement.dtype),
                num_beams=BEAMS,
                max_new_tokens=MAX_TOKENS,
                do_sample=False,
                stopping_criteria=[TokenCounter(progress, MAX_TOKENS)],
            )
        # The first token marks the beginning; not every published tokenizer knows that and would skip it.
        return sentence(self._tokenizer.decode(tokens[1:], skip_special_tokens=True))
