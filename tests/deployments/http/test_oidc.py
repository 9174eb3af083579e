"""Tokens of an OpenID Connect issuer: a real one, on loopback, which signs with its own keys."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from deployments.principals.principal import CAPABILITIES
from deployments.settings import Settings
from tests.asgi import client
from tests.tenants import Tenants, upload

AUDIENCE = "sensorium"


class LocalIssuer:
    """Publishes its keys, and signs what it is told to."""

    def __init__(self) -> None:
        self.keys = {"first": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self.fetched = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(issuer.answer(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str) -> dict[str, Any]:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.fetched += 1
        published = {kid: RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) for kid, key in self.keys.items()}
        return {"keys": [{**key, "kid": kid, "use": "sig", "alg": "RS256"} for kid, key in published.items()]}

    def token(self, subject: str = "alice", scope: object = "openid chat knowledge", **changed: Any) -> str:
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": subject, "exp": time.time() + 300, "scope": scope, **changed}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.keys["first"], "RS256", headers={"kid": "first"})


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    local = LocalIssuer()
    thread = threading.Thread(target=local.server.serve_forever)
    thread.start()
    yield local
    local.server.shutdown()
    local.server.server_close()
    thread.join()


@pytest.fixture
def tenants(issuer: LocalIssuer, tmp_path: Path) -> Tenants:
    return Tenants(tmp_path, oidc_issuer=issuer.url, oidc_audience=AUDIENCE)


async def status(tenants: Tenants, token: str) -> int:
    async with tenants.client(token) as http:
        return (await http.get("/v1/session")).status_code


async def test_the_subject_is_the_principal(issuer: LocalIssuer, tenants: Tenants) -> None:
    async with client(tenants.application) as anonymous:
        assert (await anonymous.get("/v1/session")).status_code == 401
    async with tenants.client(issuer.token()) as alice, tenants.client(issuer.token("auth0|bob")) as bob:
        assert (await alice.get("/v1/session")).json() == {
            "object": "session", "principal": "alice", "scopes": ["chat", "knowledge"], "signed_in": False,
        }  # fmt: skip
        assert (await upload(alice, "plans", "The vault code is 4711.")).status_code == 200
        theirs = await bob.get("/uploadFile/learningFiles", params={"category": "plans"})
        assert theirs.json()["data"] == []
        assert (await alice.get("/v1/tts", params={"text": "Hi."})).status_code == 403
    async with tenants.client(issuer.token(scope=["admin", "speech_synthesis"])) as later:
        assert (await later.get("/v1/session")).json()["scopes"] == ["admin", "speech_synthesis"], (
            "each token has its own"
        )
        listed = (await later.get("/v1/principals")).json()["data"]
    assert [(each["name"], each["issuer"]) for each in listed] == [("alice", issuer.url), ("auth0|bob", issuer.url)]
    assert issuer.fetched == 1


async def test_tokens_that_open_nothing(issuer: LocalIssuer, tenants: Tenants) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = issuer.token()
    claims = jwt.decode(good, options={"verify_signature": False})
    public = json.dumps(RSAAlgorithm.to_jwk(issuer.keys["first"].public_key(), as_dict=True))
    head, body, signature = good.split(".")
    refused = {
        "expired": issuer.token(exp=time.time() - 60),
        "another audience": issuer.token(aud="other"),
        "another issuer": issuer.token(iss="https://other.example"),
        "not yet": issuer.token(nbf=time.time() + 300),
        "without an end": issuer.token(exp=None),
        "without an audience": issuer.token(aud=None),
        "without a subject": issuer.token(sub=None),
        "a stranger's key": jwt.encode(claims, stranger, "RS256", headers={"kid": "first"}),
        "an unknown key": jwt.encode(claims, stranger, "RS256", headers={"kid": "other"}),
        "no signature": jwt.encode(claims, None, "none", headers={"kid": "first"}),
        "a shared secret": jwt.encode(claims, public[:64], "HS256", headers={"kid": "first"}),
        "a changed body": f"{head}.{body[:-4]}AAAA.{signature}",
        "dots": "..",
        "a name that is none": issuer.token("a/../b"),
        "the default principal": issuer.token("default"),
    }
    for what, token in refused.items():
        assert await status(tenants, token) == 401, what
    assert await status(tenants, good) == 200
    assert {principal.name for principal in tenants.services.principals.list()} == {"alice"}


async def test_a_subject_is_not_the_owner_of_a_key(issuer: LocalIssuer, tenants: Tenants) -> None:
    async with tenants.add("alice") as by_key:
        assert (await by_key.get("/v1/session")).status_code == 200
        assert await status(tenants, issuer.token("alice")) == 401


async def test_revoking_ends_tokens_too(issuer: LocalIssuer, tenants: Tenants) -> None:
    token = issuer.token()
    assert await status(tenants, token) == 200
    tenants.services.principals.revoke("alice")
    tenants.services.registry.read()
    assert await status(tenants, token) == 401


async def test_keys_and_tokens_together(issuer: LocalIssuer, tenants: Tenants) -> None:
    async with tenants.add("robot", CAPABILITIES) as robot:
        assert (await robot.get("/v1/session")).json()["principal"] == "robot"
    assert await status(tenants, issuer.token()) == 200


async def test_an_issuer_that_does_not_respond(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path, oidc_issuer="http://127.0.0.1:1", oidc_audience=AUDIENCE)
    async with tenants.client("a.b.c") as http:
        answer: httpx.Response = await http.get("/v1/session")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
    assert int(answer.headers["retry-after"]) > 0


def test_issuer_and_audience_go_together(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="go together"):
        Settings(data_dir=tmp_path, oidc_issuer="https://login.example.com")
