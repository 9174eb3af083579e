"""One sentence about an image from what was measured on it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.image_understanding.classical.colors import Palette, lab_of, names_of
from pipelines.image_understanding.classical.kind import Kind
from pipelines.image_understanding.classical.people import People
from pipelines.media import Rgb
from pipelines.media.image import fit

NUMBERS: Final = {1: "a person", 2: "two people", 3: "three people", 4: "four people"}
WORTH_NAMING: Final = 0.12
"""Part of the image that a colour must cover to be named beside others."""
FACE: Final = 0.02
"""Part of the image from which on a face is what it is of."""
STRIKING: Final = 28.0
"""Difference in CIE Lab between an area and its surroundings from which on it is worth a word."""


def caption_of(image: Rgb, kind: Kind, colors: Palette, people: People, masks: NDArray[np.bool_]) -> str:
    """Say what an image (H, W, 3) shows, as far as this engine can see."""
    if colors.contrast < 2 and len(masks) == 1:
        return f"A plain {colors.shares[0][0]} image."
    adjectives = _light(colors) + (["black-and-white"] if colors.colorless else [])
    sentence = " ".join(["A", ", ".join(adjectives), kind] if adjectives else ["A", kind])
    if people.count:
        sentence += f" of {_who(image, people)}"
    elif area := _striking_area(image, masks):
        sentence += f" with {area}"
    if colors.colorless:
        return f"{sentence}."
    first, *more = [name for name, share in colors.shares[:3] if share > WORTH_NAMING] or [colors.shares[0][0]]
    named = f"{', '.join([first, *more[:-1]])} and {more[-1]}" if more else first
    return f"{sentence}, mostly {named}."


def _light(colors: Palette) -> list[str]:
    words = []
    if colors.lightness < 30:
        words.append("dark")
    if colors.lightness > 66:
        words.append("bright")
    if colors.contrast < 6:
        words.append("low-contrast")
    return words


def _who(image: Rgb, people: People) -> str:
    if people.count > 1:
        return NUMBERS.get(people.count, "several people")
    if people.faces:
        left, top, right, bottom = people.faces[0]
        if (right - left) * (bottom - top) > FACE * image.shape[0] * image.shape[1]:
            return "a person's face"
    return "a person"


def _striking_area(image: Rgb, masks: NDArray[np.bool_]) -> str | None:
    """Size, colour and place of the segment that stands out most; `None` where none does."""
    import cv2

    small = fit(image, 160)
    rows, columns = small.shape[:2]
    lab = lab_of(small)
    best, phrase = 0.0, None
    for mask in masks:
        area = cv2.resize(mask.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_NEAREST)
        share = float(area.mean())
        sides = sum(bool(edge.any()) for edge in (area[0], area[-1], area[:, 0], area[:, -1]))
        around = (cv2.dilate(area, np.ones((9, 9), np.uint8)) - area).astype(bool)
        inside = area.astype(bool)
        if not 0.02 < share < 0.5 or sides > 1 or not around.any():
            continue
        difference = float(np.linalg.norm(lab[inside].mean(axis=0) - lab[around].mean(axis=0)))
        weight = difference * share**0.5 / (1 + sides)  # what is cut off by the edge is rarely what an image is of
        if difference > STRIKING and weight > best:
            best = weight
            size = "large " if share > 0.15 else "small " if share < 0.05 else ""
            color = names_of(small[inside].mean(axis=0).astype(np.uint8)[None, None])[0, 0]
            article = "an" if not size and color[0] in "aeiou" else "a"
            phrase = f"{article} {size}{color} area {_place(inside)}"
    return phrase


def _place(area: NDArray[np.bool_]) -> str:
    """Where the middle of an area lies."""
    y, x = (float(np.mean(positions)) / side for positions, side in zip(np.nonzero(area), area.shape, strict=True))
    row = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    if row:
        return f"at the {row} {column}".rstrip()
    return f"on the {column}" if column else "in the middle"
