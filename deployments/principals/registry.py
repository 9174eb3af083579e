"""Who calls: the principal of a key, token or session, by the tables as they were at most `MAX_AGE_S` ago."""

import asyncio
import re
import time
from dataclasses import replace
from functools import lru_cache

from deployments.principals.oidc import Issuer
from deployments.principals.principal import DEFAULT, INSTALLATION, NAME, Access, Forbidden, Principal, hash_of
from deployments.principals.table import PrincipalTable, Snapshot
from deployments.settings import Settings
from pipelines.contracts.errors import NotFound

MAX_AGE_S = 3.0
MAX_KNOWN_RESULTS = 10_000


class Registry:
    """The principals, as one process knows them. A change is in force everywhere within `MAX_AGE_S`."""

    def __init__(self, table: PrincipalTable, settings: Settings) -> None:
        self._table = table
        self._own_keys = {hash_of(key.get_secret_value()) for key in settings.api_keys}
        self._issuer = Issuer(settings.oidc_issuer, settings.oidc_audience) if settings.oidc_issuer else None
        self._snapshot = Snapshot()
        self._read_s = float("-inf")
        self._reading = asyncio.Lock()
        self._owner = lru_cache(MAX_KNOWN_RESULTS)(table.owner)

    def read(self) -> None:
        """Read the tables now; blocks."""
        began_s = time.monotonic()
        self._snapshot = self._table.snapshot()
        self._read_s = began_s

    async def refresh(self, max_age_s: float = MAX_AGE_S) -> None:
        """Read the tables unless that was done lately.

        Raises:
            Overloaded: the database does not respond.
        """
        if time.monotonic() - self._read_s > max_age_s:
            async with self._reading:
                if time.monotonic() - self._read_s > max_age_s:
                    await asyncio.to_thread(self.read)

    @property
    def is_protected(self) -> bool:
        """Whether a call needs a key or token. Once there was a principal, it always does."""
        return bool(self._own_keys or self._issuer or self._snapshot.principals)

    def requires_keys(self) -> bool:
        """`is_protected`, by the tables as they are now; blocks.

        Raises:
            Overloaded: the database does not respond.
        """
        if not self.is_protected:
            self.read()
        return self.is_protected

    @property
    def installation(self) -> Principal:
        """The principal `default`."""
        return self._snapshot.principals.get(DEFAULT, INSTALLATION)

    def by_key(self, key: str) -> Principal | None:
        """The principal that a key gives access as."""
        return self._by_hash(hash_of(key))

    def owner_of(self, principal: Principal, owner: str | None, category: str, access: Access) -> Principal:
        """Whose category a principal's call is about: its own, or the named owner's, who shares it.

        Raises:
            NotFound: it is not shared, if it exists at all.
            Forbidden: it is shared for reading only.
        """
        if owner is None or owner == principal.name:
            return principal
        granted = self._snapshot.shares.get((owner, hash_of(category), principal.name))
        if granted is None:
            raise NotFound("There is no such category.")
        if granted != access == "write":
            raise Forbidden("This category is shared with you for reading only.")
        return self._snapshot.principals.get(owner, self.installation)

    async def owns(self, principal: Principal, result: str) -> bool:
        """Whether an object of the store is a result of the principal's."""
        return not self._snapshot.principals or await asyncio.to_thread(self._owner, result) == principal.name

    async def by_token(self, token: str) -> Principal | None:
        """The principal that a token was issued to, with the token's scopes; made if it is the first of its name.

        Raises:
            Overloaded: the issuer or the database does not respond.
        """
        if self._issuer is None or token.count(".") != 2:
            return None
        said = await asyncio.to_thread(self._issuer.verify, token)
        if said is None or said.subject == DEFAULT or not re.fullmatch(NAME, said.subject):
            return None
        if said.subject not in self._snapshot.principals:
            await asyncio.to_thread(self._table.meet, said.subject, self._issuer.url, said.scopes)
            await self.refresh(max_age_s=0)
        principal = self._snapshot.principals[said.subject]
        if principal.issuer != self._issuer.url or not principal.is_active:  # a subject may not be another's name
            return None
        return replace(principal, scopes=said.scopes)

    def by_session(self, token: str) -> Principal | None:
        """The principal of whoever has signed in, as long as the key gives access."""
        key_hash = self._snapshot.sessions.get(hash_of(token))
        return self._by_hash(key_hash) if key_hash else None

    def _by_hash(self, key_hash: str) -> Principal | None:
        if key_hash in self._own_keys:
            return self.installation
        name = self._snapshot.keys.get(key_hash)
        principal = self._snapshot.principals[name] if name else None
        return principal if principal is not None and principal.is_active else None
