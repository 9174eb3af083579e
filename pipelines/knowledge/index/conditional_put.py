"""Whether an object store keeps the promise that LanceDB's commits stand on.

On S3 a commit is a PUT with `If-None-Match: *`: of two writers, one is told that it came second. A server that ignores
the header lets both win, and rows that were acknowledged are lost in silence. One try tells.
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
    from obstore.exceptions import AlreadyExistsError, BaseError
    from obstore.store import from_url

    client = {key: value for key, value in storage_options.items() if key in _CLIENT_KEYS}
    config = {key: value for key, value in storage_options.items() if key not in client}
    key = f"conditional-put-{uuid4().hex}"
    try:
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
    except (BaseError, OSError, ValueError) as error:
        raise ModelUnavailable(
            "The knowledge base's object store does not answer, or refuses the credentials."
        ) from error
    raise ModelUnavailable(
        "The knowledge base's object store ignores `If-None-Match: *` on PUT, so writers at the same time would lose "
        "documents in silence. Use a server that honours it (AWS S3, Ceph), or a local folder."
    )
