"""Bearer tokens of an OpenID Connect issuer, as JSON Web Tokens that its published keys sign.

PyJWT: MIT. The issuer's keys are fetched at the first token, every five minutes, and for a key not seen before.
"""

import json
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException

import jwt

from deployments.principals.principal import EVERY_SCOPE
from pipelines.contracts.errors import Overloaded

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Those with a public key: with a shared secret, whoever verifies could sign."""
TIMEOUT_S = 10
LEEWAY_S = 30


@dataclass(frozen=True)
class Token:
    """What a valid token says.

    Attributes:
        subject: whom it was issued to.
        scopes: those of its claim `scope` that exist here.
    """

    subject: str
    scopes: frozenset[str]


class Issuer:
    """One issuer, and the audience that its tokens must be for. Safe for any number of threads."""

    def __init__(self, url: str, audience: str) -> None:
        self.url = url
        self._audience = audience

    def verify(self, token: str) -> Token | None:
        """What a token says; None if it is not the issuer's, not for us, expired or not a token; blocks.

        Raises:
            Overloaded: the issuer does not respond.
        """
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self.url,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise Overloaded("The issuer of tokens does not respond; try again.") from error
        except jwt.PyJWTError:
            return None
        scope = claims.get("scope", "")
        named = scope.split() if isinstance(scope, str) else [str(each) for each in scope]
        return Token(claims["sub"], EVERY_SCOPE.intersection(named))

    @cached_property
    def _keys(self) -> jwt.PyJWKClient:
        address = f"{self.url.rstrip('/')}/.well-known/openid-configuration"
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_S) as response:  # noqa: S310  (a setting, not input)
                keys_url: str = json.load(response)["jwks_uri"]
        except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
            raise Overloaded("The issuer of tokens does not respond; try again.") from error
        return jwt.PyJWKClient(keys_url, timeout=TIMEOUT_S)
