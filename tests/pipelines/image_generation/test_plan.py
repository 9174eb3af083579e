"""What the illustrator decides to draw: things, counts, colors, surroundings and positions."""

from dataclasses import dataclass, field

import pytest

from pipelines.contracts.errors import InvalidInput
from pipelines.image_generation import ImageRequest
from pipelines.image_generation.icons.engine import IconIllustrator
from pipelines.image_generation.icons.layout import Figure, Scene
from pipelines.image_generation.icons.prompt import rgb, vocabulary

SEEDS = range(6)
COLORS = {name: rgb(value) for name, value in vocabulary()["color"].items()}


@dataclass
class Case:
    """A prompt, and what it must give: icon, count and color (`None`: any) of each thing, and the surroundings."""

    prompt: str
    things: list[tuple[str, int, str | None]]
    ground: str | None = None
    sky: str | None = None
    sky_color: str | None = None
    features: set[str] = field(default_factory=set)


CASES = [
    Case("a pig", [("mdi:pig", 1, None)], ground="grass"),
    Case("two red cars under a blue sky", [("fa:car-side", 2, "red")], sky_color="blue"),
    Case("three yellow ducks on a lake", [("mdi:duck", 3, "yellow")], ground="sea"),
    Case("a black cat to the left of a white dog", [("fa:cat", 1, "black"), ("fa:dog", 1, "white")]),
    Case("a green tree next to a red house", [("mdi:tree", 1, "green"), ("fa:house-chimney", 1, "red")]),
    Case(
        "a hot air balloon over the mountains at sunset",
        [("mdi:airballoon", 1, None)],
        sky="sunset",
        features={"mountains"},
    ),
    Case("Five pink flowers in a meadow.", [("mdi:flower", 5, "pink")], ground="grass"),
    Case("a fluffy kitten sleeping on a blue sofa", [("fa:cat", 1, None), ("mdi:sofa", 1, "blue")], ground="room"),
    Case("a dog under a table", [("fa:dog", 1, None), ("mdi:table-furniture", 1, None)], ground="room"),
    Case("10 cats", [("fa:cat", 10, None)]),
    Case("11 dogs", [("fa:dog", 10, None)]),
    Case("a couple of penguins in the snow", [("mdi:penguin", 2, None)], ground="snow"),
    Case("a pair of purple birds flying at night", [("mdi:bird", 2, "purple")], sky="night"),
    Case("a rocket in space", [("mdi:rocket", 1, None)], ground="space"),
    Case("six orange fish under the sea", [("fa:fish-fins", 6, "orange")], ground="deep"),
    Case("a sailboat on the sea in a storm", [("fa:sailboat", 1, None)], ground="sea", sky="storm"),
    Case("a palm tree on the beach", [("mdi:palm-tree", 1, None)], ground="beach"),
    Case("an elephant in the rain", [("mdi:elephant", 1, None)], sky="rain", features={"rain"}),
    Case("a castle on a hill under a purple sky", [("mdi:castle", 1, None)], sky_color="purple", features={"hills"}),
    Case("a cup of coffee and a croissant", [("fa:mug-hot", 1, None), ("mdi:food-croissant", 1, None)], ground="table"),
    Case("a woman in a red dress", [("fa:person-dress", 1, "red")]),
    Case("a yellow taxi in the city at night", [("mdi:taxi", 1, "yellow")], sky="night", features={"city"}),
    Case("four white sheep and a brown horse", [("mdi:sheep", 4, "white"), ("fa:horse", 1, "brown")]),
    Case("a rainbow over a lighthouse", [("mdi:lighthouse", 1, None)], features={"rainbow"}),
    # word sense
    Case("a mouse", [("mdi:rodent", 1, None)]),
    Case("a wireless mouse next to a keyboard", [("mdi:mouse", 1, None), ("mdi:keyboard", 1, None)]),
    Case("a bat at night", [("mdi:bat", 1, None)]),
    Case("a baseball bat", [("mdi:baseball-bat", 1, None)]),
    Case("an orange", [("mdi:circle", 1, None)]),
    Case("an orange cat", [("fa:cat", 1, "orange")]),
    Case("an orange and a red apple", [("mdi:circle", 1, None), ("fa:apple-whole", 1, "red")]),
    Case("three oranges", [("mdi:circle", 3, None)]),
    Case("a coffee table", [("mdi:table-furniture", 1, None)]),
    Case("a school bus", [("mdi:bus-side", 1, None)]),
    # a noun beyond the vocabulary takes the icon of its name, or a neutral one
    Case(
        "a cat next to a refrigerator and two fridges",
        [("fa:cat", 1, None), ("fa:shapes", 1, None), ("mdi:fridge", 2, None)],
    ),
    Case("a dog with a happy grin, in a dramatic mood", [("fa:dog", 1, None)]),
    Case("a cat and two quokkas", [("fa:cat", 1, None), ("fa:shapes", 2, None)]),
    # style words, negation, odd numbers
    Case("a lighthouse, highly detailed, 4k, trending on artstation, masterpiece", [("mdi:lighthouse", 1, None)]),
    Case("a photo of a 1950 car", [("fa:car-side", 1, None)]),
    Case("a street with no cars and a dog", [("fa:dog", 1, None)], ground="road"),
    Case("not a cat but a dog", [("fa:dog", 1, None)]),
    Case("a car that is blue", [("fa:car-side", 1, "blue")]),
    # emoji, Chinese
    Case("🐷", [("mdi:pig", 1, None)]),
    Case("🚗🚗 under a rainbow", [("fa:car-side", 2, None)], features={"rainbow"}),
    Case("两只红色的猫在蓝天下", [("fa:cat", 2, "red")], sky_color="blue"),
    Case("一辆黄色的汽车和三棵绿树", [("fa:car-side", 1, "yellow"), ("mdi:tree", 3, "green")]),
]


def plan(illustrator: IconIllustrator, prompt: str, seed: int = 0, aspect: float = 1.0) -> Scene:
    width, height = (2048, round(2048 / aspect)) if aspect > 1 else (round(2048 * aspect), 2048)
    return illustrator.plan(ImageRequest(prompt, width, height, seed))


def groups(scene: Scene) -> list[list[Figure]]:
    """The figures of each thing, in the prompt's order."""
    things = sorted({figure.thing for figure in scene.figures})
    return [[figure for figure in scene.figures if figure.thing == thing] for thing in things]


def faults(case: Case, scene: Scene) -> list[str]:
    found = groups(scene)
    drawn = [(group[0].look.icon, len(group)) for group in found]
    wrong = [] if drawn == [(icon, count) for icon, count, _ in case.things] else [f"drew {drawn}"]
    for group, (_, _, color) in zip(found, case.things, strict=False):
        if color and any(figure.color != COLORS[color] for figure in group):
            wrong.append(f"{group[0].word} is {group[0].color}")
    if case.ground and scene.ground != case.ground:
        wrong.append(f"on {scene.ground}")
    if case.sky and scene.sky != case.sky:
        wrong.append(f"sky {scene.sky}")
    if case.sky_color and scene.sky_color != COLORS[case.sky_color]:
        wrong.append(f"sky color {scene.sky_color}")
    if not case.features <= scene.features:
        wrong.append(f"features {set(scene.features)}")
    return wrong


def test_prompts_give_the_right_icons_colors_counts_and_surroundings(illustrator: IconIllustrator) -> None:
    wrong = {case.prompt: found for case in CASES if (found := faults(case, plan(illustrator, case.prompt)))}
    print(f"{len(CASES) - len(wrong)} of {len(CASES)} prompts right")
    assert not wrong


RELATIONS = {
    "a cat to the left of a dog": lambda cat, dog: cat.x + cat.width / 2 < dog.x - dog.width / 2,
    "a cat on the right of a house": lambda cat, house: cat.x - cat.width / 2 > house.x + house.width / 2,
    "on the left a cat, on the right a dog": lambda cat, dog: cat.x < dog.x,
    "一只狗在树的左边": lambda dog, tree: dog.x + dog.width / 2 < tree.x,
    "a bird above a house": lambda bird, house: bird.base < house.top and abs(bird.x - house.x) < house.width / 2,
    "a balloon over a car": lambda balloon, car: balloon.base < car.top,
    "a dog under a tree": lambda dog, tree: (
        dog.top > tree.top + tree.height / 3 and abs(dog.x - tree.x) < tree.width / 2
    ),
    "a boy under an umbrella": lambda boy, umbrella: (
        umbrella.top < boy.top and abs(boy.x - umbrella.x) < umbrella.width / 2
    ),
    "a cat on a table": lambda cat, table: abs(cat.base - table.top) < 0.03 and abs(cat.x - table.x) < table.width / 2,
    "a cat wearing a hat": lambda cat, hat: hat.base < cat.top + cat.height / 3 and hat.depth > cat.depth,
    "a bench next to a tree": lambda bench, tree: abs(bench.x - tree.x) > (bench.width + tree.width) / 2,
    "a rabbit behind a pumpkin": lambda rabbit, pumpkin: rabbit.depth < pumpkin.depth and rabbit.base < pumpkin.base,
    "a dog in front of a house": lambda dog, house: dog.depth > house.depth and dog.base > house.base,
    "a cat in a box": lambda cat, box: cat.depth < box.depth and box.top < cat.base < box.base,
    "apples in a basket": lambda apple, basket: apple.depth < basket.depth and apple.base < basket.base,
    "a bear riding a bicycle": lambda bear, bicycle: bear.base < bicycle.base and bear.top < bicycle.top,
}


@pytest.mark.parametrize("prompt", RELATIONS)
def test_relations_hold_whatever_the_seed_and_the_shape(illustrator: IconIllustrator, prompt: str) -> None:
    for seed in SEEDS:
        for aspect in (1.0, 16 / 9, 0.5):
            subjects, objects = groups(plan(illustrator, prompt, seed, aspect))
            assert all(RELATIONS[prompt](subject, objects[0]) for subject in subjects), (seed, aspect)


def test_what_is_under_a_table_is_between_its_legs(illustrator: IconIllustrator) -> None:
    for seed in SEEDS:
        dog, table = (group[0] for group in groups(plan(illustrator, "a dog under a table", seed)))
        assert not table.floats
        assert table.top < dog.top
        assert abs(dog.base - table.base) < table.height / 5


def test_between_is_between(illustrator: IconIllustrator) -> None:
    for seed in SEEDS:
        ball, cat, dog = (group[0] for group in groups(plan(illustrator, "a red ball between a cat and a dog", seed)))
        assert cat.x < ball.x < dog.x


def test_two_things_share_a_table(illustrator: IconIllustrator) -> None:
    cup, cake, table = (group[0] for group in groups(plan(illustrator, "a cup and a cake on a table")))
    assert abs(cup.base - table.top) < 0.03
    assert abs(cake.base - table.top) < 0.03
    assert abs(cup.x - cake.x) > (cup.width + cake.width) / 2 * 0.95


@pytest.mark.parametrize("aspect", [1 / 32, 0.5, 1.0, 2.0, 32.0])
@pytest.mark.parametrize(
    "prompt",
    ["10 cats", "a house, a tree, a dog, a cat, a car and a pig", "nine balloons", "seven fish", "a bus on a bus"],
)
def test_everything_stays_in_the_image_and_equal_things_apart(
    illustrator: IconIllustrator, prompt: str, aspect: float
) -> None:
    for seed in SEEDS:
        scene = plan(illustrator, prompt, seed, aspect)
        for figure in scene.figures:
            assert figure.width > 0
            assert figure.height > 0
            assert figure.x - figure.width / 2 >= -0.01
            assert figure.x + figure.width / 2 <= 1.01
            assert figure.top >= -0.01
            assert figure.base <= 1.01
        for group in groups(scene):
            for index, one in enumerate(group):
                for other in group[index + 1 :]:
                    beside = abs(one.x - other.x) >= (one.width + other.width) / 2 * 0.9
                    assert beside or one.base <= other.top + 0.01 or other.base <= one.top + 0.01


def test_what_stands_has_ground_under_it(illustrator: IconIllustrator) -> None:
    for prompt in (
        "10 cats",
        "a house and a tree",
        "two red cars under a blue sky",
        "a lighthouse and a boat by the sea",
    ):
        for seed in SEEDS:
            scene = plan(illustrator, prompt, seed)
            assert all(figure.base >= scene.horizon for figure in scene.figures if not figure.floats)


@pytest.mark.parametrize(
    "prompt", ["", " \n\t ", "!?...", "the", "no cars", "0 dogs", "quantum freedom", "a" * 4000, "red " * 900]
)
def test_a_prompt_that_names_nothing_is_refused(illustrator: IconIllustrator, prompt: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        plan(illustrator, prompt)
    assert refused.value.param == "prompt"


def test_the_refusal_says_what_to_do(illustrator: IconIllustrator) -> None:
    with pytest.raises(InvalidInput, match=r"icons.*diffusers"):
        plan(illustrator, "quantum freedom")


def test_a_prompt_may_have_4000_characters_and_no_more(illustrator: IconIllustrator) -> None:
    assert plan(illustrator, "pig, " * 799 + "pigs,").figures
    (refused,) = illustrator.generate([ImageRequest("pig, " * 800 + "!", 64, 64, 1)])
    assert isinstance(refused, InvalidInput)
    assert "4,000" in refused.message


@pytest.mark.parametrize(
    "prompt", ["\ud800 pig", "\x00pig", "ＰＩＧ", "<b>pig</b>", "pig" + "\u202e", "9" * 30 + " pigs", "-3 pigs"]
)
def test_odd_text_still_draws_the_pig(illustrator: IconIllustrator, prompt: str) -> None:
    assert {figure.look.icon for figure in plan(illustrator, prompt).figures} == {"mdi:pig"}


@pytest.mark.parametrize(
    "prompt",
    ["a cat left of a dog left of the cat", "a cat on a dog on a cat", "a cat under a cat under a cat", "on in of"],
)
def test_contradictions_end(illustrator: IconIllustrator, prompt: str) -> None:
    try:
        assert plan(illustrator, prompt).figures
    except InvalidInput:
        assert prompt == "on in of"
