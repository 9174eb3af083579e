"""A role for tests: endpoints on loopback that hand out the S3 server's keys as temporary credentials."""

import http.server
import json
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.s3 import S3Server

STS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{AccessKeyId}</AccessKeyId>
<SecretAccessKey>{SecretAccessKey}</SecretAccessKey><SessionToken>{Token}</SessionToken>
<Expiration>{Expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""

PROCESS = (
    "import json, sys, urllib.request; it = json.load(urllib.request.urlopen(sys.argv[1])); "
    "print(json.dumps({**it, 'Version': 1, 'SessionToken': it['Token']}))"
)


class Role:
    """Hands out temporary credentials: to containers at `/`, and as the security token service by POST.

    Attributes:
        lifetime_s: how long what is handed out from now on will live.
        secret_key: what is handed out as the secret.
        handed_out: how often something was.
    """

    def __init__(self, server: S3Server) -> None:
        self._server = server
        self.lifetime_s = 6 * 3600
        self.secret_key = server.secret_key
        self.handed_out = 0
        self.url = ""

    def credentials(self) -> dict[str, str]:
        self.handed_out += 1
        return {
            "AccessKeyId": self._server.access_key,
            "SecretAccessKey": self.secret_key,
            "Token": f"token-{self.handed_out}",
            "Expiration": f"{datetime.now(UTC) + timedelta(seconds=self.lifetime_s):%Y-%m-%dT%H:%M:%SZ}",
        }

    def assume(self, monkeypatch: pytest.MonkeyPatch, way: str, folder: Path) -> None:
        """Make this process's only credentials those of the role, by one way of AWS's default chain."""
        for name in self._server.env:
            monkeypatch.delenv(name, raising=False)
        nowhere = str(folder / "none")
        env = {
            "AWS_ENDPOINT_URL_S3": self._server.endpoint,
            "AWS_ENDPOINT": self._server.endpoint,  # LanceDB's
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        }
        if way == "container":
            env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = self.url
        elif way == "web identity":
            (folder / "identity").write_text("a token of Kubernetes")
            env |= {
                "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/sensorium",
                "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "identity"),
                "AWS_ENDPOINT_URL_STS": self.url,
            }
        else:
            command = shlex.join([sys.executable, "-c", PROCESS, self.url])
            (folder / "config").write_text(f"[default]\ncredential_process = {command}\n")
            env["AWS_CONFIG_FILE"] = str(folder / "config")
        for name, value in env.items():
            monkeypatch.setenv(name, value)


@contextmanager
def serving_role(server: S3Server) -> Iterator[Role]:
    """A role whose endpoints are up."""
    role = Role(server)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("application/json", json.dumps(role.credentials()))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer("text/xml", STS.format(**role.credentials()))

        def _answer(self, kind: str, body: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever)
        thread.start()
        role.url = f"http://127.0.0.1:{endpoint.server_port}/"
        yield role
        endpoint.shutdown()
        thread.join()
