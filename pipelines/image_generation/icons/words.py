"""The words that a prompt is read with: colours, counts, relations, scenery, and a little Chinese."""

from pipelines.image_generation.icons.looks import Colour, rgb


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COLOURS: dict[str, Colour] = {
    name: rgb(value)
    for name, value in {
        "red": "#d9342b", "orange": "#f28a1e", "yellow": "#f7cb2d", "green": "#3f9f4e", "blue": "#2f72d6",
        "purple": "#8446b5", "violet": "#7d4fc4", "pink": "#f27fb0", "brown": "#8a5a36", "black": "#2a2a32",
        "white": "#fbfaf7", "grey": "#8f969f", "gray": "#8f969f", "gold": "#e0ad2a", "golden": "#e3b233",
        "silver": "#bcc4cc", "turquoise": "#2bb5ae", "teal": "#1f8a8a", "cyan": "#2fc0dc", "navy": "#243a78",
        "beige": "#e3d0ae", "cream": "#f6ecd2", "maroon": "#7d2430", "crimson": "#c01f3a", "scarlet": "#dd2c22",
        "magenta": "#d0309a", "lavender": "#b79be0", "indigo": "#4a3fae", "olive": "#7f8a38", "lime": "#a2cf3a",
        "emerald": "#1fa06a", "azure": "#3f9ff0", "amber": "#f2ae2a", "coral": "#f5775f", "peach": "#f9b896",
    }.items()
}  # fmt: skip
LIGHTER = {"light", "pale", "pastel"}
DARKER = {"dark", "deep"}

COUNTS: dict[str, int] = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "dozen": 12, "dozens": 12, "couple": 2, "pair": 2, "trio": 3, "both": 2, "few": 3,
    "some": 3, "several": 4, "many": 7, "lots": 8, "bunch": 5, "herd": 6, "flock": 6, "group": 5, "pile": 5,
    "bouquet": 5, "school": 6, "row": 5, "hundred": 100, "hundreds": 100, "thousand": 1000, "thousands": 1000,
}  # fmt: skip
NONE = {"no", "without", "not", "zero"}
ARTICLES = {
    "a", "an", "the", "this", "that", "these", "those", "his", "her", "its", "their", "my", "your", "our", "another",
    "single", "each", "every",
}  # fmt: skip

RELATIONS: dict[str, str] = {
    "left of": "left", "to the left of": "left", "on the left of": "left", "on the left side of": "left",
    "right of": "right", "to the right of": "right", "on the right of": "right", "on the right side of": "right",
    "above": "above", "over": "above", "on top of": "on", "on": "on", "onto": "on", "atop": "on", "upon": "on",
    "riding": "on", "riding on": "on", "sitting on": "on", "standing on": "on", "wearing": "wear", "under": "under",
    "below": "under", "beneath": "under", "underneath": "under", "next to": "next", "beside": "next", "near": "next",
    "by": "next", "alongside": "next", "close to": "next", "behind": "behind", "in front of": "front",
    "before": "front", "in": "in",  "inside": "in", "into": "in", "between": "between",
}  # fmt: skip
SIDES = {"on the left": "left", "at the left": "left", "on the left side": "left", "on the right": "right",
         "at the right": "right", "on the right side": "right", "left": "left", "right": "right"}  # fmt: skip

SCENERY: dict[str, str] = {
    # sky
    "sky": "sky", "skies": "sky", "night": "sky=night", "midnight": "sky=night", "nighttime": "sky=night",
    "at night": "sky=night", "night sky": "sky=night", "moonlight": "sky=night moon", "moonlit": "sky=night moon",
    "moon": "moon", "full moon": "moon sky=night", "starry": "stars sky=night", "stars": "stars sky=night",
    "sunset": "sky=sunset sun", "dusk": "sky=sunset", "evening": "sky=sunset", "golden hour": "sky=sunset sun",
    "sunrise": "sky=dawn sun", "dawn": "sky=dawn sun", "morning": "sky=dawn sun", "day": "sky=day",
    "daytime": "sky=day", "noon": "sky=day sun", "sunny": "sky=day sun", "sunshine": "sky=day sun", "sun": "sun",
    "sunlight": "sun", "clouds": "clouds", "cloudy": "sky=cloudy clouds", "overcast": "sky=cloudy clouds",
    "rain": "sky=rain rain", "rainy": "sky=rain rain", "raining": "sky=rain rain", "storm": "sky=storm rain bolt",
    "stormy": "sky=storm rain bolt", "thunderstorm": "sky=storm rain bolt", "lightning": "sky=storm bolt",
    "fog": "sky=cloudy fog", "foggy": "sky=cloudy fog", "mist": "sky=cloudy fog", "misty": "sky=cloudy fog",
    "rainbow": "rainbow", "snowing": "sky=cloudy snow ground=snow", "snowfall": "sky=cloudy snow ground=snow",
    "blizzard": "sky=cloudy snow ground=snow", "aurora": "sky=night aurora stars",
    "northern lights": "sky=night aurora stars",
    # ground
    "grass": "ground=grass", "field": "ground=grass", "fields": "ground=grass", "meadow": "ground=grass",
    "lawn": "ground=grass", "garden": "ground=grass", "park": "ground=grass", "farm": "ground=grass",
    "countryside": "ground=grass", "hill": "ground=grass hills", "hills": "ground=grass hills",
    "valley": "ground=grass hills", "ground": "ground=grass", "beach": "ground=beach", "sand": "ground=beach",
    "shore": "ground=beach", "coast": "ground=beach", "seaside": "ground=beach", "sea": "ground=sea",
    "ocean": "ground=sea", "lake": "ground=sea hills", "river": "ground=sea hills", "pond": "ground=sea hills",
    "water": "ground=sea", "waves": "ground=sea", "harbor": "ground=sea", "harbour": "ground=sea",
    "road": "ground=road", "street": "ground=road city", "highway": "ground=road", "desert": "ground=desert",
    "dunes": "ground=desert", "snow": "ground=snow", "snowy": "ground=snow snow", "winter": "ground=snow",
    "ice": "ground=snow", "iceberg": "ground=snow", "mountain": "mountains", "cliff": "mountains",
    "canyon": "mountains",
    "mountains": "mountains", "forest": "ground=grass forest",
    "woods": "ground=grass forest", "jungle": "ground=grass forest", "city": "city ground=road",
    "town": "city ground=road", "skyline": "city", "room": "ground=room", "kitchen": "ground=room",
    "bedroom": "ground=room", "living room": "ground=room", "house interior": "ground=room", "indoors": "ground=room",
    "floor": "ground=room", "wall": "ground=room", "office": "ground=room", "classroom": "ground=room",
    "underwater": "ground=deep", "under water": "ground=deep", "under the sea": "ground=deep",
    "under the ocean": "ground=deep", "coral reef": "ground=deep", "reef": "ground=deep", "aquarium": "ground=deep",
    "space": "ground=space", "outer space": "ground=space", "galaxy": "ground=space", "universe": "ground=space",
    "cosmos": "ground=space", "autumn": "autumn", "fall": "autumn", "spring": "sky=day", "summer": "sky=day sun",
    "wooden table": "ground=table",
}  # fmt: skip

COUNTED = {"stars", "clouds"}
"""Scenery that becomes things where a number says how many."""

SENSES: dict[str, list[tuple[set[str], str]]] = {
    "mouse": [({"computer", "wireless", "keyboard", "laptop", "usb", "optical", "desk", "pc", "monitor"},
               "computer mouse")],
    "bat": [({"baseball", "cricket", "wooden", "player", "ball", "hitting"}, "baseball bat")],
    "crane": [({"bird", "feathers", "lake", "flying", "nest", "wings", "pond", "paper"}, "stork")],
    "kiwi": [({"fruit", "slice", "eating", "bowl", "banana", "apple"}, "pear")],
    "turkey": [({"roast", "dinner", "thanksgiving", "cooked", "plate"}, "food turkey")],
    "chicken": [({"roast", "fried", "dinner", "cooked", "plate"}, "food drumstick")],
    "star": [({"sea", "underwater", "reef"}, "starfish")],
}  # fmt: skip
"""Nouns of two meanings: words beside which another noun is meant."""

CONTAINERS = {"basket", "box", "bowl", "bag", "cup", "pot", "boat", "canoe", "bathtub", "treasure chest", "gift"}
CLOTHES = {
    "shirt",
    "dress",
    "suit",
    "coat",
    "jacket",
    "sweater",
    "hoodie",
    "skirt",
    "gown",
    "uniform",
    "robe",
    "clothes",
}

NOISE: frozenset[str] = _words(
    """
    saw see seen look looks light lights warm vibrant minimalist digital fantasy dramatic dreamy studio vivid
    elegant intricate cozy aesthetic modern vintage draw paint sketch make create generate show give render
    produce please me us i we you it he she they image image photo photograph painting drawing illustration
    poster portrait scene view background foreground style artwork art icon cartoon watercolor watercolour oil
    anime pixel 3d render rendering wallpaper design logo landscape quality detailed highly masterpiece
    realistic photorealistic hd uhd 4k 8k 16k best ultra cinematic lighting bokeh dslr octane unreal engine
    trending artstation hyperrealistic sharp focus soft depth resolution professional composition color colour
    colors colours colored coloured beautiful nice very really so much other side top bottom middle center
    centre front back air world thing things something someone way time lot kind type piece slice cute happy sad
    big small large tiny huge little old new young tall short long wide fat thin funny lovely pretty is are was
    were be been being am has have had do does did can could will would should there here and or but with of for
    from at to as than then while when where who which what whose about around through across along against off
    out up down during within outside toward towards full
    """
)
"""Words that are never a thing to draw. Those of `BREAKS` also end a noun phrase."""

BREAKS: frozenset[str] = _words(
    """
    and or but with of for from at to as than then while when where who which what about around through across
    along against off out up down during within outside toward towards is are was were be has have had do does
    can will would should there here
    """
)

CHINESE: dict[str, str] = {
    "一": "one", "二": "two", "两": "two", "三": "three", "四": "four", "五": "five", "六": "six", "七": "seven",
    "八": "eight", "九": "nine", "十": "ten", "几": "several", "许多": "many", "没有": "no", "红色": "red", "红": "red",
    "橙色": "orange", "黄色": "yellow", "黄": "yellow", "绿色": "green", "绿": "green", "蓝色": "blue", "蓝": "blue",
    "紫色": "purple", "紫": "purple", "粉色": "pink", "粉红": "pink", "棕色": "brown", "黑色": "black", "黑": "black",
    "白色": "white", "白": "white", "灰色": "grey", "金色": "golden", "猪": "pig", "猫": "cat", "狗": "dog",
    "牛": "cow", "马": "horse", "羊": "sheep", "兔子": "rabbit", "兔": "rabbit", "鸟": "bird", "鱼": "fish",
    "鸭子": "duck", "鸭": "duck", "鸡": "chicken", "熊猫": "panda", "熊": "bear", "大象": "elephant", "老鼠": "mouse",
    "老虎": "tiger", "狮子": "lion", "猴子": "monkey", "蛇": "snake", "龙": "dragon", "青蛙": "frog", "乌龟": "turtle",
    "企鹅": "penguin", "猫头鹰": "owl", "蝴蝶": "butterfly", "蜜蜂": "bee", "鲨鱼": "shark", "海豚": "dolphin",
    "蝙蝠": "bat", "狐狸": "fox", "狼": "wolf", "人": "person", "男人": "man", "女人": "woman", "孩子": "child",
    "男孩": "boy", "女孩": "girl", "宇航员": "astronaut", "机器人": "robot", "雪人": "snowman", "汽车": "car",
    "小汽车": "car", "车": "car", "卡车": "truck", "公交车": "bus", "火车": "train", "自行车": "bicycle",
    "摩托车": "motorcycle", "飞机": "airplane", "直升机": "helicopter", "火箭": "rocket", "船": "boat",
    "帆船": "sailboat",
    "气球": "balloon", "热气球": "hot air balloon", "树": "tree", "松树": "pine tree", "花": "flower",
    "仙人掌": "cactus",
    "蘑菇": "mushroom", "房子": "house", "屋": "house", "城堡": "castle", "教堂": "church", "灯塔": "lighthouse",
    "桥": "bridge", "苹果": "apple", "橙子": "oranges", "香蕉": "banana", "葡萄": "grapes", "西瓜": "watermelon",
    "胡萝卜": "carrot", "面包": "bread", "蛋糕": "cake", "披萨": "pizza", "鸡蛋": "egg", "咖啡": "coffee", "茶": "tea",
    "书": "book", "椅子": "chair", "桌子": "table", "沙发": "sofa", "床": "bed", "灯": "lamp", "帽子": "hat",
    "雨伞": "umbrella", "伞": "umbrella", "足球": "ball", "球": "ball", "吉他": "guitar", "钟": "clock", "心": "heart",
    "星星": "stars", "月亮": "moon", "太阳": "sun", "云": "clouds", "彩虹": "rainbow", "天空": "sky",
    "蓝天": "blue sky",
    "夜晚": "night", "夜": "night", "日落": "sunset", "夕阳": "sunset", "日出": "sunrise", "早晨": "morning",
    "雨": "rain", "下雨": "raining", "下雪": "snowing", "雪": "snow", "雪地": "snow", "草地": "grass", "草原": "grass",
    "沙滩": "beach", "海滩": "beach", "大海": "sea", "海": "sea", "湖": "lake", "河": "river", "马路": "road",
    "街道": "street", "沙漠": "desert", "山": "mountains", "森林": "forest", "城市": "city", "太空": "space",
    "房间": "room", "和": "and", "戴": "wearing", "骑": "riding",
}  # fmt: skip
"""Words, longest first where they overlap; characters that are not here (measure words, particles) are skipped."""

CHINESE_PLACES: dict[str, str] = {
    "左边": "left of", "左侧": "left of", "左": "left of", "右边": "right of", "右侧": "right of", "右": "right of",
    "上面": "on", "上方": "above", "上空": "above", "上": "on", "下面": "under", "下方": "under",
    "底下": "under", "下": "under",
    "旁边": "next to", "旁": "next to", "后面": "behind", "后": "behind", "前面": "in front of", "前": "in front of",
    "里面": "in", "里": "in", "中": "in",
}  # fmt: skip
"""Postpositions: 在 X 的 Y says where a thing is."""
