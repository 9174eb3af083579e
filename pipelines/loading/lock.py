"""`models.lock.yaml`: the commit of each model that a configuration names, and the checksums of its files.

`make pull` writes it and verifies files by it, and engines load the commit that it names. A commit that is not known
yet is null: an engine then loads what its revision pointed at when it was fetched.
"""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from pipelines.contracts.errors import ModelUnavailable

LOCK_NAME = "models.lock.yaml"
COMMIT = r"[0-9a-f]{40}"
HEAD = """\
# Written by `make pull`: the commit of each model, and the sha256 of each file that was fetched. Keep it with the
# configuration, so that everyone gets the same files. null: not fetched yet; set a commit to null to update its model.
"""

_path: Path | None = None


class LockedModel(BaseModel):
    """One model at one revision.

    Attributes:
        model: hub id.
        revision: branch, tag or commit that the configuration names.
        commit: what it stands for; `None` if it was never resolved.
        files: sha256 of each file that was fetched, by its path.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    revision: str = "main"
    commit: Annotated[str, Field(pattern=rf"^{COMMIT}$")] | None
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]


class Lock(RootModel[list[LockedModel]]):
    """All models of the file."""

    def find(self, model: str, revision: str) -> LockedModel | None:
        """The entry of a model at a revision."""
        return next((each for each in self.root if (each.model, each.revision) == (model, revision)), None)

    def entry(self, model: str, revision: str) -> LockedModel:
        """The same; one without commit and files is added if there is none."""
        found = self.find(model, revision)
        if found is None:
            found = LockedModel(model=model, revision=revision, commit=None, files={})
            self.root.append(found)
        return found

    def text(self) -> str:
        """The file's content, by model; `revision` is left out if it is `main`."""
        entries = [each.model_dump() for each in sorted(self.root, key=lambda each: each.model.casefold())]
        plain = [
            {key: value for key, value in each.items() if (key, value) != ("revision", "main")} for each in entries
        ]
        return HEAD + yaml.safe_dump(plain, sort_keys=False)


def read_lock(path: Path) -> Lock:
    """Read a lock; an empty one if the file does not exist.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds something else.
    """
    try:
        return Lock.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or [])
    except FileNotFoundError:
        return Lock([])
    except (yaml.YAMLError, ValidationError) as error:
        raise ValueError(f"{path.name} is damaged: restore it, or delete it to use the newest commits") from error


def use_lock(path: Path) -> None:
    """Let every engine that this process loads from now on follow a lock."""
    global _path  # noqa: PLW0603  one process, one lock
    _path = path


def locked_commit(model: str, revision: str) -> str | None:
    """The commit that the lock of this process names.

    Raises:
        ModelUnavailable: the lock cannot be read.
    """
    if _path is None:
        return None
    try:
        entry = read_lock(_path).find(model, revision)
    except (OSError, ValueError):
        raise ModelUnavailable(
            f"{LOCK_NAME} cannot be read or is damaged: restore it, or delete it and run `make pull`."
        ) from None
    return entry.commit if entry else None
