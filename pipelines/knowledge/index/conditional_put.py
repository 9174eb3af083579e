"""Whether an object store keeps the promise that LanceDB's commits rely on.

On S3 a commit is a PUT with `If-None-Match: *`: of two writers, the second is refused. A server that ignores the header
lets both win, and acknowledged rows are silently lost. One attempt shows which it is.
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

from pipelines.contracts.errors import ModelUnavailable

_CLIENT_KEYS = ("allow_http", "allow_invalid_certificates", "connect_timeout", "timeout")


def probe_conditional_put(url: str, storage_options: Mapping[str, str]) -> None:
    """Create one object under `url` twice; the second must be refused. The object is removed.

    Args:
        url: "s3://bucket/prefix" or another URL that obstore knows.
        storage_options: as LanceDB takes them ("aws_endpoint", "allow_http", …).

    Raises:
        ModelUnavailable: the server ignores the condition, or it does not answer.
    """
    import obstore
    from botocore.exceptions import BotoCoreError
    from obstore.exceptions import AlreadyExistsError, BaseError
    from obstore.store import from_url

    client = {key: value for key, value in storage_options.items() if key in _CLIENT_KEYS}
    config = {key: value for key, value in storage_options.items() if key not in client}
    key = f"conditional-put-{uuid4().hex}"
    try:
        if "aws_access_key_id" not in config:
            config |= _current_keys()
        store = from_url(  # type: ignore[call-overload]
            url,
            config=config or None,
            client_options=client or None,
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        )
        obstore.put(store, key, b"first", mode="create")
        try:
            obstore.put(store, key, b"second", mode="create")
        except AlreadyExistsError:
            return
        finally:
            obstore.delete(store, key)
    except (BaseError, BotoCoreError, OSError, ValueError) as error:
        raise ModelUnavailable(
            "The knowledge base's object store does not answer, or refuses the credentials."
        ) from error
    raise ModelUnavailable(
        "The knowledge base's object store ignores `If-None-Match: *` on PUT, so concurrent writers would silently "
        "lose documents. Use a server that honors it (AWS S3, Ceph), or a local folder."
    )


def _current_keys() -> dict[str, str]:
    """The keys of AWS's default chain (environment, files, roles), which LanceDB follows too, and renews in time."""
    from botocore.session import get_session

    credentials = get_session().get_credentials()
    if credentials is None:
        return {}
    keys = credentials.get_frozen_credentials()
    found = {
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        "aws_session_token": keys.token,
    }
    return {name: value for name, value in found.items() if value}
