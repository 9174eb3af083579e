"""Image understanding by three models of transformers: one captions, one classifies, one segments.

What a checkpoint's `config.json` says it is decides which family reads it; each family is a module of its own, with
sources and licenses. Each model sees the image by itself: the caption can mention what is not among the classes.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import Field, StringConstraints

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import ModelUnavailable
from pipelines.contracts.progress import Progress, no_progress
from pipelines.image_understanding.base import Description, ImageUnderstander
from pipelines.image_understanding.transformers.blip import BlipCaptioner
from pipelines.image_understanding.transformers.captioner import Captioner
from pipelines.image_understanding.transformers.classifier import Classifier
from pipelines.image_understanding.transformers.clip import ClipClassifier
from pipelines.image_understanding.transformers.labels import EVERYDAY
from pipelines.image_understanding.transformers.qwen3_vl import Qwen3VlCaptioner
from pipelines.image_understanding.transformers.sam import SamSegmenter
from pipelines.image_understanding.transformers.sam2 import Sam2Segmenter
from pipelines.image_understanding.transformers.segmenter import Segmenter
from pipelines.image_understanding.transformers.siglip import SiglipClassifier
from pipelines.loading.device import DeviceName, DtypeName, Placement, select_device
from pipelines.loading.pretrained import read_model_type
from pipelines.loading.weights import Weights
from pipelines.media import Rgb

Family = TypeVar("Family")

CAPTIONERS: Mapping[str, type[Captioner]] = {"qwen3_vl": Qwen3VlCaptioner, "blip": BlipCaptioner}
CLASSIFIERS: Mapping[str, type[Classifier]] = {
    "siglip": SiglipClassifier,
    "siglip2": SiglipClassifier,
    "clip": ClipClassifier,
}
SEGMENTERS: Mapping[str, type[Segmenter]] = {
    "sam2_video": Sam2Segmenter,
    "sam2": Sam2Segmenter,
    "sam": SamSegmenter,
}

_QWEN3_VL = "Qwen/Qwen3-VL-2B-Instruct"
_SIGLIP2 = "google/siglip2-base-patch16-224"
_SAM2 = "facebook/sam2.1-hiera-base-plus"
_BLIP = "Salesforce/blip-image-captioning-base"
_CLIP = "openai/clip-vit-base-patch32"
_LICENSES = {
    _QWEN3_VL: "Apache-2.0",
    _SIGLIP2: "Apache-2.0",
    _SAM2: "Apache-2.0",
    "facebook/sam2.1-hiera-tiny": "Apache-2.0",
    _BLIP: "BSD-3-Clause",
    _CLIP: "MIT",
    "facebook/sam-vit-base": "Apache-2.0",
}
_FILES = ("*.json", "*.jinja", "vocab.txt", "merges.txt", "model*.safetensors")
_PICKLED = {_BLIP, _CLIP}
"""Published in torch's own format alone; only tensors are read from it."""

_CAPTIONED, _CLASSIFIED = 0.3, 0.35
"""Part of the work that is done after the caption and after the classes."""

Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class TransformersConfig(EngineConfig):
    """A captioning, a classifying and a segmenting model."""

    engine: Literal["transformers"] = "transformers"
    caption_model: str = Field(_QWEN3_VL, description="Hub id or local folder of a Qwen3-VL or BLIP model.")
    caption_revision: str = Field("main", description="Commit, tag or branch of it on the hub.")
    class_model: str = Field(_SIGLIP2, description="Hub id or local folder of a SigLIP (1 or 2) or CLIP model.")
    class_revision: str = Field("main", description="Commit, tag or branch of it on the hub.")
    segmentation_model: str = Field(_SAM2, description="Hub id or local folder of a SAM (1, 2 or 2.1) model.")
    segmentation_revision: str = Field("main", description="Commit, tag or branch of it on the hub.")
    device: DeviceName = Field("auto", description="Where all of them run: `auto` takes a GPU if there is one.")
    dtype: DtypeName = Field(
        "auto",
        description="Number format. `auto`: float32, as masks and probabilities need its precision; but half precision "
        "on a GPU for Qwen3-VL.",
    )
    labels: tuple[Label, ...] = Field(
        EVERYDAY, min_length=1, max_length=2000, description="Names of the classes that an image can have."
    )
    prompt: str | None = Field(
        None,
        pattern=r"\{\}",
        max_length=200,
        description="What the classifying model reads of a class, `{}`. Default: as its authors write it.",
    )
    most_classes: int = Field(5, ge=1, description="Maximum number of classes reported; the most likely one always is.")
    least_probability: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Minimum probability of the others. CLIP's have the sum 1; SigLIP judges each class by itself.",
    )
    points_per_side: int = Field(
        32,
        ge=1,
        le=64,
        description="Points of the grid at which SAM looks for segments, in each direction; on a CPU, 12 is better.",
    )
    least_quality: float | None = Field(
        None,
        le=1,
        description="Minimum quality of a segment by the model's own estimate. Default: 0.88 for SAM, 0.8 for SAM 2.",
    )
    least_stability: float = Field(
        0.95, ge=0, le=1, description="Minimum part of a segment that stays when its threshold moves."
    )

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        models = self.weights()
        licenses = [_LICENSES[each.model] for each in models if each.model in _LICENSES]
        return ModelCard(
            model=" + ".join(each.name for each in models),
            license=" AND ".join(dict.fromkeys(licenses)) if len(licenses) == len(models) else "see the models' pages",
            description="Captions in English, chooses among configured classes and outlines things without naming "
            "them. A caption can name things that are not in the image.",
        )

    def weights(self) -> tuple[Weights, ...]:
        """The captioning, the classifying and the segmenting model, in this order."""
        models = (
            (self.caption_model, self.caption_revision),
            (self.class_model, self.class_revision),
            (self.segmentation_model, self.segmentation_revision),
        )
        return tuple(
            Weights(model, revision, (*_FILES, "pytorch_model.bin") if model in _PICKLED else _FILES)
            for model, revision in models
        )

    def load(self, resources: Resources) -> ImageUnderstander:
        """Read the three models."""
        import supervision  # noqa: F401  so that a missing library shows now and not at the first image

        caption, classes, segmentation = self.weights()
        captioner = _family(CAPTIONERS, caption)
        return TransformersUnderstander(
            captioner.load(caption, self._placement(captioner.auto_dtype)),
            _family(CLASSIFIERS, classes).load(
                classes, self._placement("float32"), labels=self.labels, prompt=self.prompt
            ),
            _family(SEGMENTERS, segmentation).load(
                segmentation,
                self._placement("float32"),
                points_per_side=self.points_per_side,
                least_quality=self.least_quality,
                least_stability=self.least_stability,
            ),
            most_classes=self.most_classes,
            least_probability=self.least_probability,
        )

    def _placement(self, auto_dtype: DtypeName) -> Placement:
        return select_device(self.device, auto_dtype if self.dtype == "auto" else self.dtype)


def _family(families: Mapping[str, Family], weights: Weights) -> Family:
    """The family that reads a checkpoint.

    Raises:
        ModelUnavailable: missing, damaged, or of another family.
    """
    model_type = read_model_type(weights)
    if model_type not in families:
        raise ModelUnavailable(
            f"{weights.name} is a model of type {model_type!r}. This key supports: {', '.join(families)}."
        )
    return families[model_type]


class TransformersUnderstander(ImageUnderstander):
    """Three models that see the same image, one after another. Not thread-safe.

    Args:
        captioner: says what the image shows.
        classifier: chooses among names.
        segmenter: outlines things.
        most_classes: reported at most, at least 1.
        least_probability: from which on a class is reported beside the most likely one.
    """

    def __init__(
        self,
        captioner: Captioner,
        classifier: Classifier,
        segmenter: Segmenter,
        *,
        most_classes: int,
        least_probability: float,
    ) -> None:
        self._captioner = captioner
        self._classifier = classifier
        self._segmenter = segmenter
        self._most_classes = most_classes
        self._least_probability = least_probability

    def describe(self, image: Rgb, *, progress: Progress = no_progress) -> Description:
        """Caption, classify and segment one image: see the base class. An image can have no segments."""
        progress(0.0, "captioning")
        caption = self._captioner.caption(image, progress=_part(progress, 0.0, _CAPTIONED))
        progress(_CAPTIONED, "classifying")
        classes = self._most_likely(self._classifier.probabilities(image))
        progress(_CLASSIFIED, "segmenting")
        masks = self._segmenter.segment(image, progress=_part(progress, _CLASSIFIED, 1.0))
        return Description(caption=caption, classes=classes, masks=masks)

    def _most_likely(self, probabilities: np.ndarray) -> tuple[str, ...]:
        first, *more = np.argsort(-probabilities, kind="stable")[: self._most_classes].tolist()
        kept = [first, *(n for n in more if probabilities[n] >= self._least_probability)]
        return tuple(self._classifier.labels[n] for n in kept)


def _part(progress: Progress, start: float, end: float) -> Progress:
    """Progress of a part of the work, from `start` to `end` of the whole."""

    def report(fraction: float | None, stage: str, /) -> None:
        progress(start + (end - start) * (fraction or 0.0), stage)

    return report
