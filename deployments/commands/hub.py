"""Fetch model files from a hub into its standard cache: resumed, verified, and with every file or not at all.

The hub's own client resumes a transfer only within one run; after a run that was stopped, it starts the file again. So
large files are fetched here, by that client's transfer, into `blobs/<sha256>.incomplete`, and continue from what is
there. A file gets its place in the cache only if its checksum is the one that the hub lists for it. Small files and the
cache's layout are left to the client, so that every library finds what it expects.
"""

import errno
import fcntl
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx2 import HTTPError, ReadError  # what huggingface_hub's client raises
from huggingface_hub import HfApi, constants, hf_hub_url, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from deployments.commands.hub_private import (
    RepoFile,
    build_hf_headers,
    filter_repo_objects,
    git_hash,
    http_get,
    repo_folder_name,
    tqdm,
)
from pipelines.loading.lock import COMMIT, LOCK_NAME
from pipelines.loading.weights import Weights

_EXPECTED = (HTTPError, OSError, ValueError)
"""What the client raises: network errors; errors of the disk and its cache; an id or a response that is not a hub's."""


class FetchFailed(Exception):
    """A model is not in the cache; the message says why, and what to do."""


@dataclass(frozen=True)
class Plan:
    """The files of one model at one commit.

    Attributes:
        weights: the model.
        commit: that its revision resolves to, 40 hexadecimal digits.
        files: that its engine reads.
        absent: those of them that the cache lacks or holds damaged.
        to_fetch_bytes: size of the absent files, less what an earlier run has fetched of them.
        locked: checksums that the lock has for them: sha256 by path.
    """

    weights: Weights
    commit: str
    files: tuple[RepoFile, ...]
    absent: tuple[RepoFile, ...]
    to_fetch_bytes: int
    locked: Mapping[str, str]

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)


class Hub:
    """One hub and its cache folder."""

    def __init__(self, endpoint: str | None = None, cache: Path | None = None) -> None:
        """By default the hub of `HF_ENDPOINT` and the cache of `HF_HOME`, as in every library."""
        self.endpoint = endpoint
        self.cache = cache or Path(constants.HF_HUB_CACHE)
        self._api = HfApi(endpoint=endpoint)
        self._lost = ""  # why it could not be reached: its client takes half a minute to find out, for each model

    def resolve(self, weights: Weights) -> str:
        """The commit that a model's revision points at now; a commit is returned as it is, without a request.

        Raises:
            FetchFailed: the hub has no such revision, or cannot be reached.
        """
        if is_commit(weights.revision):
            return weights.revision
        try:
            commit = self._api.model_info(weights.model, revision=weights.revision).sha
        except _EXPECTED as error:
            raise FetchFailed(_explained(error, weights)) from error
        if commit is None:
            raise FetchFailed("the hub did not report which commit that is")
        return commit

    def plan(self, weights: Weights, commit: str, locked: Mapping[str, str], checking: Callable[[str], None]) -> Plan:
        """Compare the cache with the hub's list of a model's files. Every cached file is read and verified.

        If the hub does not give the list, the files of `locked` are compared: with all of them in the cache, nothing
        is needed from the hub.

        Args:
            weights: the model and the files that are needed.
            commit: of the model.
            locked: checksums that the lock has for its files: sha256 by path.
            checking: called with the name of each file before it is read.

        Raises:
            FetchFailed: the hub cannot be reached, has none of the files, or lists one that is not the locked one.
        """
        try:
            files = self._listed(weights, commit, locked)
        except FetchFailed:
            plan = self._compared(weights, commit, self._cached(weights, commit, locked), locked, checking)
            if not plan.files or plan.absent:
                raise
            return plan
        return self._compared(weights, commit, files, locked, checking)

    def fetch(self, plan: Plan, starting: Callable[[RepoFile], None]) -> None:
        """Fetch a plan's absent files, then point the model's revision at its commit in the cache.

        Args:
            plan: what to fetch.
            starting: called with each large file before its transfer.

        Raises:
            FetchFailed: something is still missing. What has arrived stays, and the next call continues from there.
        """
        weights = plan.weights
        try:
            for file in filter(_is_resumable, plan.absent):
                starting(file)
                self._fetch_resumable(weights, plan.commit, file)
            if plan.absent:
                self._fetch_rest(plan)
            self._refer(weights, plan.commit)
        except _EXPECTED as error:
            raise FetchFailed(_explained(error, weights)) from error

    def checksums(self, plan: Plan) -> dict[str, str]:
        """The sha256 of each file of a plan that was fetched, by path."""
        return {
            file.path: file.lfs.sha256 if file.lfs else _sha256(self._placed(plan.weights, plan.commit, file))
            for file in plan.files
        }

    def _listed(self, weights: Weights, commit: str, locked: Mapping[str, str]) -> tuple[RepoFile, ...]:
        """The needed files, as the hub lists them."""
        if self._lost:
            raise FetchFailed(self._lost)
        try:
            tree = self._api.list_repo_tree(weights.model, recursive=True, revision=commit)
            listed = [entry for entry in tree if isinstance(entry, RepoFile)]
        except _EXPECTED as error:
            reason = _explained(error, weights)
            if isinstance(error, HTTPError) and not isinstance(error, HfHubHTTPError):
                self._lost = reason
            raise FetchFailed(reason) from error
        files = _needed(weights, listed)
        if not files:
            raise FetchFailed(f"it has none of the files that its engine reads ({', '.join(weights.files)})")
        for file in files:
            if file.lfs is not None and locked.get(file.path, file.lfs.sha256) != file.lfs.sha256:
                raise FetchFailed(f"the hub's {file.path} is not the file whose checksum is in {LOCK_NAME}")
        return files

    def _cached(self, weights: Weights, commit: str, locked: Mapping[str, str]) -> tuple[RepoFile, ...]:
        """The needed files, as the lock and the cache list them."""
        folder = self._folder(weights) / "snapshots" / commit
        listed = [_large_file(path, _size(folder / path), sha256) for path, sha256 in locked.items()]
        return _needed(weights, listed)

    def _compared(
        self,
        weights: Weights,
        commit: str,
        files: tuple[RepoFile, ...],
        locked: Mapping[str, str],
        checking: Callable[[str], None],
    ) -> Plan:
        absent = tuple(self._absent(weights, commit, files, locked, checking))
        began = sum(min(file.size, _size(self._partial(weights, file))) for file in absent if _is_resumable(file))
        return Plan(weights, commit, files, absent, sum(file.size for file in absent) - began, locked)

    def _folder(self, weights: Weights) -> Path:
        return self.cache / repo_folder_name(repo_id=weights.model, repo_type="model")

    def _partial(self, weights: Weights, file: RepoFile) -> Path:
        return self._folder(weights) / "blobs" / f"{_checksum_of(file)}.incomplete"

    def _placed(self, weights: Weights, commit: str, file: RepoFile) -> Path:
        return self._folder(weights) / "snapshots" / commit / file.path

    def _absent(
        self,
        weights: Weights,
        commit: str,
        files: tuple[RepoFile, ...],
        locked: Mapping[str, str],
        checking: Callable[[str], None],
    ) -> Iterator[RepoFile]:
        for file in files:
            placed = self._placed(weights, commit, file)
            if not placed.is_file():
                yield file
                continue
            checking(file.path)
            if not _is_sound(placed, file, locked):
                _remove(placed)
                yield file

    def _fetch_resumable(self, weights: Weights, commit: str, file: RepoFile) -> None:
        partial = self._partial(weights, file)
        blob = partial.with_suffix("")
        if blob.is_file() and _is_sound(blob, file, {}):
            return  # from another commit with the same file
        partial.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("ab") as target:
            try:
                fcntl.flock(target, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FetchFailed("another `make pull` is fetching it into the same cache; wait for it") from None
            if target.tell() > file.size:
                target.truncate(0)
            self._transfer(hf_hub_url(weights.model, file.path, revision=commit, endpoint=self.endpoint), target, file)
        if not _is_sound(partial, file, {}):
            partial.unlink()
            raise _damaged(file)
        partial.replace(blob)

    def _transfer(self, url: str, target: io.BufferedWriter, file: RepoFile) -> None:
        # `identity`: the hub cannot send the rest of a compressed response
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        while True:
            began_at = target.seek(0, io.SEEK_END)
            try:
                http_get(
                    url,
                    target,
                    resume_size=began_at,
                    headers=headers,
                    expected_size=file.size,
                    displayed_filename=file.path,
                )
            except ReadError:  # the one lost connection that `http_get` does not retry
                if target.tell() == began_at:
                    raise
            else:
                return

    def _fetch_rest(self, plan: Plan) -> None:
        """Let the client fetch the small files and lay out the snapshot."""
        snapshot_download(
            plan.weights.model,
            revision=plan.commit,
            allow_patterns=list(plan.weights.files) or None,
            cache_dir=self.cache,
            endpoint=self.endpoint,
            tqdm_class=_NoBar,
        )
        for file in plan.absent:
            placed = self._placed(plan.weights, plan.commit, file)
            if not _is_resumable(file) and not _is_sound(placed, file, plan.locked):
                _remove(placed)
                raise _damaged(file)

    def _refer(self, weights: Weights, commit: str) -> None:
        """Record which commit a branch or tag points at, so that a start without a network finds it."""
        if weights.revision == commit:
            return
        reference = self._folder(weights) / "refs" / weights.revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        draft = reference.with_name(f"{reference.name}.draft")
        draft.write_text(commit)
        draft.replace(reference)


class _NoBar(tqdm):
    """The client draws four bars at once, which outlive an error; small files need none."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]  # the client's


def is_commit(revision: str) -> bool:
    """Whether a revision is a full commit hash, which never moves."""
    return re.fullmatch(COMMIT, revision) is not None


def _large_file(path: str, size: int, sha256: str) -> RepoFile:
    large = {"oid": sha256, "size": size, "pointerSize": 0}
    return RepoFile(path=path, size=size, oid=sha256, lfs=large)  # type: ignore[no-untyped-call]  # the client's


def _needed(weights: Weights, listed: list[RepoFile]) -> tuple[RepoFile, ...]:
    """Those of a model's files that its engine reads."""
    patterns = list(weights.files) or None
    return tuple(filter_repo_objects(listed, allow_patterns=patterns, key=lambda file: file.path))


def _is_resumable(file: RepoFile) -> bool:
    """In the hub's large-file storage, and not too large to be sent by HTTP."""
    return file.lfs is not None and file.size <= constants.MAX_HTTP_DOWNLOAD_SIZE


def _checksum_of(file: RepoFile) -> str:
    """What the hub lists for a file: its sha256 if it is in large-file storage, else git's sha1."""
    return file.blob_id if file.lfs is None else file.lfs.sha256


def _is_sound(path: Path, file: RepoFile, locked: Mapping[str, str]) -> bool:
    """Whether a file is the one that the hub lists and the lock names."""
    if _size(path) != file.size:
        return False
    if file.lfs is not None:
        return _sha256(path) == file.lfs.sha256
    is_listed = git_hash(path.read_bytes()) == file.blob_id
    return is_listed and (file.path not in locked or _sha256(path) == locked[file.path])


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _remove(placed: Path) -> None:
    """Remove a file of a snapshot and the blob that it points at."""
    placed.resolve().unlink(missing_ok=True)
    placed.unlink(missing_ok=True)


def _damaged(file: RepoFile) -> FetchFailed:
    return FetchFailed(
        f"{file.path} arrived with another checksum than the hub or {LOCK_NAME} lists for it, and was deleted; "
        "run this again"
    )


_LOST = "the hub could not be reached or the connection was lost ({error}); run this again to continue"
_EXPLANATIONS: dict[type[Exception], str] = {
    GatedRepoError: "its license has to be accepted on its page first; then set HF_TOKEN to a token of that account",
    RepositoryNotFoundError: "the hub has no such model, or it is private and HF_TOKEN is not set",
    RevisionNotFoundError: "the hub has no revision {revision} of it",
    OfflineModeIsEnabled: "HF_HUB_OFFLINE is set; unset it for this command",
    HTTPError: _LOST,
    HFValidationError: "this is no hub id (owner/name); write a local folder as ./folder or /folder",
    ValueError: "the response is not that of a hub; is HF_ENDPOINT right?",
}
_RESPONSES = {
    401: "the hub rejected the token in HF_TOKEN (401)",
    403: "the account of HF_TOKEN has no access (403): ask for access on its page, with that account",
    429: "the hub limits requests from here (429); run this again later",
}


def _explained(error: Exception, weights: Weights) -> str:
    """What went wrong, and what to do."""
    for kind, text in _EXPLANATIONS.items():
        if kind is HTTPError and isinstance(error, HfHubHTTPError):
            status = error.response.status_code
            return _RESPONSES.get(status, f"the hub answered {status}; run this again later")
        if isinstance(error, kind):
            return text.format(error=type(error).__name__, revision=weights.revision)
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({os.strerror(number)}); what has arrived stays"
    if number is not None:
        return f"it could not be stored ({os.strerror(number)})"
    return _LOST.format(error=type(error).__name__)  # the client's own subclasses of OSError have no number
