"""The icons: fonts and names.

The glyphs are those of three fonts that the package `qtawesome` (MIT) carries as files: Material Design Icons
(Apache-2.0), Font Awesome Free Solid (SIL OFL 1.1) and Phosphor (MIT). The package itself wants Qt, so only its files
are opened. Letters, brands and signs of user interfaces are left out: they are not things.
"""

import json
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pipelines.contracts.errors import ModelUnavailable
from pipelines.image_generation.icons.looks import Look, known_looks

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_NEUTRAL = "fa:shapes"
"""Stands for a noun that has no icon."""

_FONTS = {
    "mdi": ("materialdesignicons6-webfont", ""),
    "fa": ("fontawesome6-solid-webfont", ""),
    "ph": ("phosphor", "-fill"),
}
_SIGNS = re.compile(
    r"\d|^.$|(^|-)(outline|off|slash|box|circle|square|variant|alert|plus|minus|check|arrows?|chevron|caret|format|remove|lock|"
    r"cog|edit|search|sync|multiple|settings|clock|network|wireless|refresh|marker|question|account|user|users|file|"
    r"folder|source|alpha|language|microsoft|google|currency|timer|vector|view|relation|cancel|import|export|"
    r"percent|text|play|pause|stop|bluetooth|code|data|database|sign|hand|hands|logo|simple|apple|android|badge|"
    r"border|align|sort|chart|battery|brightness|calendar|camera|card|cards|cart|cast|cellphone|chat|checkbox|"
    r"clipboard|cloud|comment|content|cookie|credit|crop|cursor|debug|decimal|directions|distribute|dots|email|"
    r"emoticon|face|fast|filter|fit|flip|form|fullscreen|furigana|gamepad|gate|gender|gesture|git|gradient|"
    r"heart|help|hexagon|home|image|inbox|key|keyboard|label|lan|layers|less|lightbulb|link|list|location|login|logout|"
    r"magnify|mail|map|math|menu|message|moon|movie|music|note|number|order|page|pan|panorama|phone|image|"
    r"pipe|power|printer|progress|quality|radiobox|reorder|reply|resize|rotate|router|satellite|scale|screen|seat|select|"
    r"selection|server|set|shape|share|shield|signal|size|skip|sleep|solid|sort|square|star|step|store|swap|tab|table|tag|"
    r"television|temperature|theme|thermometer|thumb|thumbs|ticket|timeline|toggle|tooltip|transfer|transit|trending|unfold|"
    r"upload|download|usb|van|video|volume|wall|water|wave|weather|web|wifi|window|zodiac|"
    r"car|human|person|people|test|clock|light|book|bed|bug|cable|rss|pin|up|down|left|right|open|closed|h|text|"
    r"bootstrap|docker|drupal|ethereum|facebook|firefox|instagram|linux|linkedin|patreon|pinterest|plex|python|reddit|"
    r"redhat|salesforce|skype|slack|snapchat|spotify|steam|ubuntu|unity|unreal|twitter|vimeo|wordpress|youtube|xbox|"
    r"aws|api|atm|at|null|react|sass|npm|nas|ocr|nfc|qi|gog|gnome|kodi|roku|babel|bash|bing|deviantart|mastodon|"
    r"angular|ansible|apache|artstation|atlassian|bitcoin|bulma|centos|cordova|debian|dropbox|ember|eslint|evernote|"
    r"fedora|firebase|gatsby|gitlab|goodreads|graphql|hulu|jira|jquery|kubernetes|laravel|litecoin|meteor|netflix|"
    r"nintendo|nodejs|nuxt|opera|origin|pandora|podcast|rollupjs|sony|symfony|tailwind|teamviewer|terraform|trello|"
    r"abjad|abugida|syllabary|abacus|activity|adjust|all|animation|application|apps|archive|arrange|asterisk|audio|"
    r"auto|ban|bar|bars|beta|blog|blur|bold|brackets|browser|bulk|burst|button|call|checks|columns|combatant|contain|"
    r"control|copy|cross|details|dev|disease|display|dock|drag|draw|electric|ellipsis|epsilon|equal|expand|finance|"
    r"fraction|gif|globe|group|hdr|heading|history|house|icons|identifier|images|indent|info|information|kaaba|lines|"
    r"looks|medical|menorah|mine|minimize|more|motion|move|nature|navigation|network|news|none|not|notification|"
    r"notes|numeric|object|offer|on|opacity|orbit|outdent|paragraph|paste|ph|place|poll|pop|post|print|priority|"
    r"prohibit|publish|pulse|queue|radical|ray|read|record|rectangle|redo|relative|restart|rewind|run|scan|scent|segment|"
    r"select|send|shuffle|slide|spinner|stack|sticker|strategy|sun|swim|sync|symbol|target|terrain|texture|tilde|"
    r"transition|un|undo|update|variable|venus|mars|virus|vote|walk|warning|wan|web|wrap|x|xmark|z|spaghetti|gun|pistol|rifle|"
    r"texture|theater|shopping|smoking|cannabis|bong|joint|lingerie|poo|poop|sparkle|shimmer|smiley|robot|"
    r"twitch|umbraco|vuejs|vuetify|waze|wechat|whatsapp|wikipedia|xamarin|xml|yahoo|yeast|zend|zigbee)(-|$)"
)


class Vocabulary:
    """Nouns, their looks and glyphs. Not thread-safe."""

    def __init__(self, folder: Path, names: dict[str, str]) -> None:
        """Take what `load` found.

        Args:
            folder: of the font files.
            names: plain name to icon ("tea pot" to "mdi:tea-pot").
        """
        self._folder = folder
        self._names = names
        self._codes = {font: _codes(folder, font) for font in _FONTS}
        self._fonts: dict[tuple[str, int], FreeTypeFont] = {}
        self._aspects: dict[str, float] = {}

    @classmethod
    def load(cls) -> Self:
        """Read the names.

        Raises:
            ModelUnavailable: the fonts are not installed.
        """
        spec = find_spec("qtawesome")
        if spec is None or spec.origin is None:
            raise ModelUnavailable("The icon fonts are missing: install the package qtawesome.")
        folder = Path(spec.origin).parent / "fonts"
        names = {noun: look.icon for noun, look in known_looks().items()}
        for font, (_, suffix) in _FONTS.items():
            for name in _codes(folder, font):
                plain = name.removesuffix(suffix)
                if name.endswith(suffix) and plain.count("-") < 2 and not _SIGNS.search(plain):
                    names.setdefault(plain.replace("-", " "), f"{font}:{plain}")
        return cls(folder, names)

    def exact(self, noun: str) -> Look | None:
        """The look of a singular noun that has an icon, or `None`."""
        if look := known_looks().get(noun):
            return look
        icon = self._names.get(noun)
        return _plain(noun, icon) if icon else None

    def nearest(self, nouns: Sequence[str]) -> list[Look | None]:
        """The look that stands for nouns without an icon."""
        return [_plain(noun, _NEUTRAL) for noun in nouns]

    def font(self, icon: str, size_px: int) -> "tuple[FreeTypeFont, str]":
        """The font of an icon at a size, and the icon's character."""
        from PIL import ImageFont

        name, _, glyph = icon.partition(":")
        if (name, size_px) not in self._fonts:
            if len(self._fonts) > 64:
                self._fonts.clear()
            path = next(self._folder.glob(f"{_FONTS[name][0]}-[0-9]*.ttf"))
            self._fonts[name, size_px] = ImageFont.truetype(str(path), size_px)
        return self._fonts[name, size_px], chr(self._codes[name][glyph + _FONTS[name][1]])

    def aspect(self, icon: str) -> float:
        """Width over height of an icon's ink."""
        if icon not in self._aspects:
            font, character = self.font(icon, 128)
            left, top, right, bottom = font.getmask(character).getbbox()
            self._aspects[icon] = (right - left) / (bottom - top)
        return self._aspects[icon]


def _plain(noun: str, icon: str) -> Look:
    """How an icon that the table does not know is drawn."""
    return Look(noun, icon, "ground", 1.0, hole="open")


def _codes(folder: Path, font: str) -> dict[str, int]:
    path = next(folder.glob(f"{_FONTS[font][0]}-charmap-*.json"))
    return {name: int(code, 16) for name, code in json.loads(path.read_text("utf-8")).items()}
