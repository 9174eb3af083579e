"""What is behind, under and before the figures, layer by layer."""

from collections.abc import Callable, Iterator

import numpy as np

from pipelines.image_generation.icons.canvas import Canvas
from pipelines.image_generation.icons.land import Land
from pipelines.image_generation.icons.place import Place
from pipelines.image_generation.icons.scene import Scene
from pipelines.image_generation.icons.sky import Sky
from pipelines.image_generation.icons.weather import Weather

Layer = Callable[[], None]
_SKYLESS = {"table", "room", "deep", "space"}


def behind(scene: Scene, canvas: Canvas, rng: np.random.Generator) -> Iterator[Layer]:
    """What is to be painted before the figures, in order."""
    if scene.ground not in _SKYLESS:
        sky, land = Sky(scene, canvas, rng), Land(scene, canvas, rng)
        yield from (sky.paint, sky.paint_lights, land.paint_distance, land.paint_ground)
        return
    place = Place(scene, canvas, rng)
    layers: dict[str, tuple[Layer, ...]] = {
        "table": (place.wall, place.table),
        "room": (place.wall, place.floor),
        "deep": (place.deep,),
        "space": (place.space,),
    }
    yield from layers[scene.ground]


def before(scene: Scene, canvas: Canvas, rng: np.random.Generator) -> Iterator[Layer]:
    """What is to be painted over the figures: fog, rain, snow."""
    weather = Weather(scene, canvas, rng)
    for feature, paint in (("fog", weather.fog), ("rain", weather.rain), ("snow", weather.snow)):
        if feature in scene.features and scene.ground not in _SKYLESS:
            yield paint
