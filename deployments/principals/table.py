"""The tables of principals: their keys, what belongs to them, and who is signed in.

Only hashes of keys and session tokens are kept. A principal is never deleted, for what is its own must not become that
of the next with its name.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, String, Table, Text, insert, select, update
from sqlalchemy.exc import IntegrityError

from deployments.database import Database
from deployments.principals.principal import (
    DEFAULT,
    EVERY_SCOPE,
    KEY_BYTES,
    PREFIX_CHARACTERS,
    Access,
    Limits,
    Principal,
    check_name,
    check_scopes,
    hash_of,
    limits_of,
    new_key,
)
from pipelines.contracts.errors import InvalidInput, NotFound

SESSION_S = 12 * 3600

METADATA = MetaData()
_principals = Table(
    "principals",
    METADATA,
    Column("name", String(255), primary_key=True),
    Column("key_hash", String(64), unique=True),
    Column("key_prefix", String(16)),
    Column("issuer", String(255)),
    Column("scopes", Text, nullable=False),
    Column("requests_per_minute", Integer),
    Column("concurrent", Integer),
    Column("queued_jobs", Integer),
    Column("bytes_stored", BigInteger),
    Column("expires_at", Float),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)
_results = Table(
    "results",
    METADATA,
    Column("key", String(255), primary_key=True),
    Column("principal", String(255), nullable=False),
    Column("created_at", Float, nullable=False, index=True),
)

_sessions = Table(
    "sessions",
    METADATA,
    Column("token_hash", String(64), primary_key=True),
    Column("key_hash", String(64), nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
)
_shares = Table(
    "shares",
    METADATA,
    Column("owner", String(255), primary_key=True),
    Column("category_hash", String(64), primary_key=True),
    Column("principal", String(255), primary_key=True),
    Column("access", String(16), nullable=False),
)


@dataclass(frozen=True)
class Snapshot:
    """What the tables said at one instant.

    Attributes:
        principals: by name.
        keys: the names of principals by the hashes of their keys.
        sessions: the hashes of keys by those of session tokens.
        shares: what is allowed, by a category's owner, its name's hash, and whom.
    """

    principals: Mapping[str, Principal] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[tuple[str, str, str], Access] = field(default_factory=dict)
    sessions: Mapping[str, str] = field(default_factory=dict)


class PrincipalTable:
    """Safe for any number of threads and processes.

    Every method raises `Overloaded` if the database does not respond.

    Attributes:
        database: where the tables are.
    """

    def __init__(self, url: str) -> None:
        self.database = Database(url, METADATA)
        self._now = self.database.now
        self._transaction = self.database.transaction
        self.close = self.database.close

    def snapshot(self) -> Snapshot:
        """All that decides who may do what."""
        with self._transaction() as connection:
            rows = connection.execute(select(_principals)).all()
            shares = connection.execute(select(_shares)).all()
            sessions = connection.execute(select(_sessions).where(_sessions.c.expires_at > self._now)).all()
        principals = {row.name: _principal(row) for row in rows}
        return Snapshot(
            principals,
            {row.key_hash: row.name for row in rows if row.key_hash},
            {(row.owner, row.category_hash, row.principal): row.access for row in shares},
            {row.token_hash: row.key_hash for row in sessions},
        )

    def add(self, name: str, scopes: frozenset[str], limits: Limits) -> tuple[Principal, str]:
        """Make a principal.

        Returns:
            It, and its key, which is not kept.

        Raises:
            InvalidInput: the name is taken or not valid, or a scope does not exist.
        """
        key = new_key()
        values = {
            "name": check_name(name),
            "scopes": " ".join(sorted(check_scopes(scopes))),
            "created_at": self._now,
            **asdict(limits),
            **_kept_of(key),
        }
        try:
            with self._transaction() as connection:
                row = connection.execute(insert(_principals).values(values).returning(*_principals.c)).one()
        except IntegrityError:
            raise InvalidInput(f"{name} exists. `rotate` gives it a new key, also after `revoke`.", "name") from None
        return _principal(row), key

    def meet(self, name: str, issuer: str, scopes: frozenset[str]) -> None:
        """Make the principal of an issuer's token, unless the name is known already."""
        values = {"name": name, "issuer": issuer, "scopes": " ".join(sorted(scopes)), "created_at": self._now}
        with self._transaction() as connection:
            connection.execute(self.database.insert(_principals).values(values).on_conflict_do_nothing())

    def list(self) -> list[Principal]:
        """All principals, by name."""
        return [principal for _, principal in sorted(self.snapshot().principals.items())]

    def revoke(self, name: str) -> Principal:
        """End a principal's access: its key, its tokens and its sessions.

        Raises:
            NotFound: there is no such principal.
        """
        return self._change(name, key_hash=None, key_prefix=None, revoked_at=self._now)

    def rotate(self, name: str) -> tuple[Principal, str]:
        """Give a principal a new key instead of the old one; one that was revoked has access again.

        Raises:
            NotFound: there is no such principal.
        """
        key = new_key()
        return self._change(name, **_kept_of(key), revoked_at=None), key

    def _change(self, name: str, **values: Any) -> Principal:
        changed = update(_principals).where(_principals.c.name == name).values(values).returning(*_principals.c)
        with self._transaction() as connection:
            row = connection.execute(changed).one_or_none()
        if row is None:
            raise NotFound("There is no such principal.")
        return _principal(row)

    def sign_in(self, key: str) -> str:
        """Begin a session of a key; returns its token, which is not kept."""
        token = secrets.token_urlsafe(KEY_BYTES)
        values = {"token_hash": hash_of(token), "key_hash": hash_of(key), "expires_at": self._now + SESSION_S}
        with self._transaction() as connection:
            connection.execute(insert(_sessions).values(values))
        return token

    def sign_out(self, token: str) -> None:
        """End a session; one that there is not stays so."""
        with self._transaction() as connection:
            connection.execute(_sessions.delete().where(_sessions.c.token_hash == hash_of(token)))

    def share(self, owner: str, category: str, principal: str, access: Access) -> None:
        """Let a principal use a category of another's."""
        values = {"owner": owner, "category_hash": hash_of(category), "principal": principal, "access": access}
        insertion = self.database.insert(_shares).values(values)
        keys = ["owner", "category_hash", "principal"]
        with self._transaction() as connection:
            connection.execute(insertion.on_conflict_do_update(index_elements=keys, set_={"access": access}))

    def end_share(self, owner: str, category: str, principal: str) -> bool:
        """End a share; False if there is none."""
        one = (_shares.c.owner == owner) & (_shares.c.category_hash == hash_of(category))
        with self._transaction() as connection:
            ended = connection.execute(_shares.delete().where(one, _shares.c.principal == principal))
        return ended.rowcount == 1

    def keep_results(self, principal: str, keys: Collection[str]) -> None:
        """Record whose results these objects of the store are; those of nobody are the default principal's."""
        if principal == DEFAULT or not keys:
            return
        rows = [{"key": key, "principal": principal, "created_at": self._now} for key in keys]
        with self._transaction() as connection:
            for row in rows:
                connection.execute(self.database.insert(_results).values(row).on_conflict_do_nothing())

    def owner(self, key: str) -> str:
        """Whose result an object of the store is."""
        with self._transaction() as connection:
            found = connection.scalar(select(_results.c.principal).where(_results.c.key == key))
        return found or DEFAULT

    def expire(self, kept_s: float) -> None:
        """Forget sessions that have ended, and whose results there were, long after they are deleted.

        Args:
            kept_s: how long the store keeps a result.
        """
        with self._transaction() as connection:
            connection.execute(_sessions.delete().where(_sessions.c.expires_at < self._now))
            connection.execute(_results.delete().where(_results.c.created_at < self._now - 2 * kept_s - 3600))


def _kept_of(key: str) -> dict[str, str]:
    return {"key_hash": hash_of(key), "key_prefix": key[:PREFIX_CHARACTERS]}


def _principal(row: Any) -> Principal:
    return Principal(
        name=row.name,
        scopes=EVERY_SCOPE if row.name == DEFAULT else frozenset(row.scopes.split()),
        limits=limits_of(row),
        key_prefix=row.key_prefix,
        issuer=row.issuer,
        created_at=row.created_at,
        revoked=row.revoked_at is not None,
    )
