"""Private APIs of Ray and huggingface_hub are used in one module each, which says why."""

import ast
from pathlib import Path

from tests.serving import ROOT

ALLOWED = {
    "ray": "deployments/client/controller.py",
    "huggingface_hub": "deployments/commands/hub_private.py",
}


def private_imports(path: Path) -> set[str]:
    """Libraries of which a file imports a private module or name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in getattr(node, "names", ())] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[0] for name in names if "._" in name and "__" not in name}
    return found


def test_private_apis_have_one_place_each() -> None:
    places = {
        (library, str(path.relative_to(ROOT)))
        for path in (ROOT / "deployments").rglob("*.py")
        for library in private_imports(path)
        if library in ALLOWED
    }
    assert places == set(ALLOWED.items())
