"""Whether an object store keeps the promise that LanceDB's commits rely on.

On S3 a commit is a PUT with `If-None-Match: *`: of two writers, the second is refused. A server that ignores the header
lets both win, and acknowledged rows are silently lost. One attempt shows which it is.
"""

from datetime import timedelta
from uuid import uuid4

from pipelines.contracts.errors import ModelUnavailable


def probe_conditional_put(url: str, endpoint: str | None) -> None:
    """Create one object under `url` twice; the second must be refused. The object is removed.

    Args:
        url: "s3://bucket/prefix" or another URL that obstore knows.
        endpoint: the server's URL, if it is not AWS's own.

    Raises:
        ModelUnavailable: the server ignores the condition, or it does not answer.
    """
    import obstore
    from botocore.exceptions import BotoCoreError
    from obstore.exceptions import AlreadyExistsError, BaseError
    from obstore.store import from_url

    key = f"conditional-put-{uuid4().hex}"
    try:
        store = from_url(  # type: ignore[call-overload]
            url,
            config=_current_keys() | ({"aws_endpoint": endpoint} if endpoint else {}),
            client_options={"allow_http": endpoint is not None and endpoint.startswith("http://")},
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
