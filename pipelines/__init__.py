"""Model code: one folder per capability, one file per engine. Independent of Ray and HTTP.

Each folder has `base.py` (what every engine of that capability offers), one file per engine, and `__init__.py`, whose
`Config` is the union of the engines' configurations: an engine is chosen by `engine` and made by `config.load()`.
"""
