"""What the illustrator paints, pixel by pixel."""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from pipelines.contracts.errors import Cancelled, InvalidInput
from pipelines.image_generation import ImageRequest
from pipelines.image_generation.icons.engine import IconIllustrator
from pipelines.media import Rgb


def draw(illustrator: IconIllustrator, prompt: str, seed: int = 1, width: int = 256, height: int = 256) -> Rgb:
    return illustrator.generate([ImageRequest(prompt, width, height, seed)])[0]


def hue(image: Rgb) -> tuple[np.ndarray, np.ndarray]:
    """Hue in degrees and saturation 0 to 1 of each pixel."""
    from PIL import Image

    hsv = np.asarray(Image.fromarray(image).convert("HSV"), np.float32)
    return hsv[..., 0] * 360 / 255, hsv[..., 1] / 255


def reds(image: Rgb) -> np.ndarray:
    angle, saturation = hue(image)
    return ((angle < 14) | (angle > 346)) & (saturation > 0.6)


def yellows(image: Rgb) -> np.ndarray:
    angle, saturation = hue(image)
    return (angle > 38) & (angle < 62) & (saturation > 0.6)


def blobs(mask: np.ndarray, min_share: float = 0.004) -> int:
    """Connected regions of at least this share of the image."""
    labels, count = ndimage.label(ndimage.binary_closing(mask, iterations=2))
    sizes = ndimage.sum_labels(mask, labels, range(1, count + 1))
    return int((sizes > min_share * mask.size).sum())


@pytest.mark.parametrize(
    ("prompt", "color", "count"),
    [
        ("two red cars under a blue sky", reds, 2),
        ("three red balls", reds, 3),
        ("a red house", reds, 1),
        ("five red hearts", reds, 5),
        ("three yellow ducks on a lake", yellows, 3),
        ("ten red cars", reds, 10),
    ],
)
def test_as_many_blobs_of_the_color_as_asked(
    illustrator: IconIllustrator, prompt: str, color: Callable[[Rgb], np.ndarray], count: int
) -> None:
    found = [blobs(color(draw(illustrator, prompt, seed, 384, 384))) for seed in (1, 2, 3)]
    print(prompt, found)
    assert found == [count] * 3


@pytest.mark.parametrize(
    ("sky", "low", "high"), [("blue", 195, 240), ("purple", 255, 300), ("green", 105, 150), ("red", 340, 375)]
)
def test_the_upper_part_has_the_sky_s_color(illustrator: IconIllustrator, sky: str, low: float, high: float) -> None:
    angle, saturation = hue(draw(illustrator, f"a cat under a {sky} sky"))
    upper = angle[:64][saturation[:64] > 0.25]
    middle = float(np.median((upper - 180) % 360 + 180 if high > 360 else upper))
    print(f"{sky} sky: median hue {middle:.0f}°")
    assert low <= (middle if high <= 360 or middle > 180 else middle + 360) <= high


def test_left_is_left_on_the_image(illustrator: IconIllustrator) -> None:
    for seed in (1, 2, 3):
        image = draw(illustrator, "a red car to the left of a yellow car", seed)
        assert np.nonzero(reds(image))[1].mean() < np.nonzero(yellows(image))[1].mean() - 40


def test_above_is_above_on_the_image(illustrator: IconIllustrator) -> None:
    for seed in (1, 2, 3):
        image = draw(illustrator, "a red balloon above a yellow car in a room", seed)
        assert np.nonzero(reds(image))[0].mean() < np.nonzero(yellows(image))[0].mean() - 40


def test_night_is_darker_than_day(illustrator: IconIllustrator) -> None:
    assert draw(illustrator, "a pig at night").mean() < draw(illustrator, "a pig").mean() - 50


def test_a_pig_is_pink(illustrator: IconIllustrator) -> None:
    scene = illustrator.plan(ImageRequest("a pig", 256, 256, 1))
    image = draw(illustrator, "a pig")
    (pig,) = scene.figures
    row, column = round((pig.top + pig.height * 0.25) * 256), round(pig.x * 256)
    red, green, blue = image[row - 4 : row + 4, column - 4 : column + 4].reshape(-1, 3).mean(0)
    assert red > 210
    assert green < red - 40
    assert blue < red - 30


def test_same_request_same_bytes_alone_or_in_a_batch(illustrator: IconIllustrator) -> None:
    requests = [
        ImageRequest("a pig", 128, 96, 7),
        ImageRequest("10 cats", 64, 64, 7),
        ImageRequest("a pig", 128, 96, 8),
    ]
    together = illustrator.generate(requests)
    alone = [illustrator.generate([request])[0] for request in reversed(requests)][::-1]
    assert all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True))
    assert not np.array_equal(together[0], together[2])


def test_seeds_differ(illustrator: IconIllustrator) -> None:
    images = {hashlib.sha256(draw(illustrator, "two cars and a tree", seed, 96, 96)).digest() for seed in range(12)}
    assert len(images) == 12


@pytest.mark.parametrize(("width", "height"), [(64, 64), (65, 67), (64, 2048), (2048, 64), (1024, 1792)])
def test_any_size(illustrator: IconIllustrator, width: int, height: int) -> None:
    image = draw(illustrator, "two red cars in the rain in the city at night", 1, width, height)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert image.std() > 5


@pytest.mark.parametrize(("width", "height"), [(63, 64), (64, 2049), (0, 64), (-1, -1)])
def test_sizes_beyond_the_limits_are_refused(illustrator: IconIllustrator, width: int, height: int) -> None:
    refused = draw(illustrator, "a pig", 1, width, height)
    assert isinstance(refused, InvalidInput)
    assert refused.param == "size"


@pytest.mark.parametrize(
    "prompt",
    [
        "a pig in the snow", "a pig in the desert", "a pig on the beach", "a boat on the sea", "a pig on the road",
        "a pig in a room", "an apple", "a fish under the sea", "a rocket in space", "mountains in autumn",
        "northern lights over a forest", "a foggy morning in the hills", "a rainbow", "lightning over the city",
        "snowfall at night", "a lion", "clouds at sunrise under a pink sky",
    ],
)  # fmt: skip
def test_every_surrounding_paints(illustrator: IconIllustrator, prompt: str) -> None:
    assert draw(illustrator, prompt, 1, 96, 80).std() > 8


def test_no_requests_no_images(illustrator: IconIllustrator) -> None:
    assert illustrator.generate([]) == []


def test_progress_rises_and_cancelling_stops(illustrator: IconIllustrator) -> None:
    seen: list[float] = []

    def watch(fraction: float | None, stage: str, /) -> None:
        assert stage
        assert fraction is not None
        seen.append(fraction)

    requests = [ImageRequest("10 cats", 64, 64, seed) for seed in range(2)]
    illustrator.generate(requests, progress=watch)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1
    assert len(seen) > 20

    def leave(fraction: float | None, stage: str, /) -> None:
        seen.append(fraction or 0)
        if fraction and fraction > 0.3:
            raise Cancelled("gone")

    seen.clear()
    with pytest.raises(Cancelled):
        illustrator.generate(requests, progress=leave)
    assert seen[-1] < 0.4


def test_a_bad_request_fails_alone(illustrator: IconIllustrator) -> None:
    requests = [ImageRequest(prompt, 64, 64, 1) for prompt in ("a pig", "", "quantum freedom", "a cow")]
    made = illustrator.generate(requests)
    assert [isinstance(each, InvalidInput) for each in made] == [False, True, True, False]
    assert np.array_equal(made[3], illustrator.generate(requests[3:])[0])
