"""Image generation by composing icons into an illustration: needs no download and no GPU."""

from pipelines.image_generation.icons.engine import IconIllustrator, IconsConfig

__all__ = ["IconIllustrator", "IconsConfig"]
