"""Fonts that tests draw with: matplotlib's own, and Debian's `fonts-droid-fallback` for Chinese."""

from pathlib import Path

import matplotlib

LATIN = str(Path(matplotlib.__file__).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf")
CHINESE = "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"
