"""OpenStack Swift as one process with its S3 API, for tests: checks signatures, ranges, multipart, conditional writes.

Run by the interpreter of an environment that has `swift`:
`python s3_server.py FOLDER ACCOUNT:USER SECRET BUCKET[=QUOTA]…`.
Prints `READY <port>` and serves 127.0.0.1 until it is terminated or whoever started it is gone. FOLDER must allow
extended attributes.
"""

import os
import sys
from collections import defaultdict
from pathlib import Path

from swift.common import utils

utils.eventlet_monkey_patch()

import eventlet  # noqa: E402
from eventlet import semaphore, wsgi  # noqa: E402
from swift.common import storage_policy  # noqa: E402
from swift.common.ring.builder import RingBuilder  # noqa: E402
from swift.common.wsgi import SwiftHttpProtocol, loadapp, make_pre_authed_request  # noqa: E402

SWIFT_CONF = """
[swift-hash]
swift_hash_path_prefix = tests
[storage-policy:0]
name = single
default = yes
"""
COMMON = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/disks
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_level = ERROR
"""
BACKEND = """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
FILTERS = {
    "catch_errors": "",
    "listing_formats": "",
    "bulk": "",
    "s3api": "location = us-east-1\ns3_acl = false",
    "tempauth": "user_{account}_{user} = {secret} .admin",
    "copy": "",
    "container_quotas": "",
    "slo": "allow_async_delete = false",  # what is deleted is gone at once, without a daemon that expires it
    "dlo": "",
}
BACKENDS = ("account", "container", "object")


def proxy_conf(account, user, secret):
    sections = [
        f"[filter:{name}]\nuse = egg:swift#{name}\n{options.format(account=account, user=user, secret=secret)}"
        for name, options in FILTERS.items()
    ]
    pipeline = f"[pipeline:main]\npipeline = {' '.join(FILTERS)} proxy-server"
    proxy = "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true"
    return "\n".join([pipeline, *sections, proxy])


def write_rings(folder, sockets):
    for kind, socket in sockets.items():
        port = socket.getsockname()[1]
        device = {
            "id": 0,
            "region": 1,
            "zone": 1,
            "weight": 1,
            "ip": "127.0.0.1",
            "port": port,
            "device": "d0",
            "meta": "",
        }
        device |= {"replication_ip": "127.0.0.1", "replication_port": port}
        builder = RingBuilder(part_power=3, replicas=1, min_part_hours=0)
        builder.add_dev(device)
        builder.rebalance()
        builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


def load(folder, kind, conf):
    path = folder / f"{kind}.conf"
    path.write_text(COMMON.format(folder=folder) + conf)
    return loadapp(str(path))


def one_create_at_a_time(app):
    """Swift looks for `If-None-Match: *` before it reads the body, so that two creators at once would both succeed."""
    locks = defaultdict(semaphore.Semaphore)

    def locked(environ, start_response):
        if environ["REQUEST_METHOD"] != "PUT" or "HTTP_IF_NONE_MATCH" not in environ:
            return app(environ, start_response)
        with locks[environ["PATH_INFO"]]:
            return list(app(environ, start_response))

    return locked


def serve(socket, app):
    with open(os.devnull, "w") as nowhere:
        wsgi.server(socket, app, nowhere, protocol=SwiftHttpProtocol, log_output=False, url_length_limit=65536)


def main():
    folder, (account, user), secret, buckets = Path(sys.argv[1]), sys.argv[2].split(":"), sys.argv[3], sys.argv[4:]
    parent = os.getppid()
    (folder / "disks" / "d0").mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT_CONF)
    utils.set_swift_dir(str(folder))
    storage_policy.reload_storage_policies()
    sockets = {kind: eventlet.listen(("127.0.0.1", 0)) for kind in BACKENDS}
    write_rings(folder, sockets)
    for kind, socket in sockets.items():
        eventlet.spawn(serve, socket, load(folder, kind, BACKEND.format(kind=kind)))
    proxy = load(folder, "proxy", proxy_conf(account, user, secret))
    for bucket in buckets:
        name, _, quota = bucket.partition("=")
        for container in (name, f"{name}+segments"):
            headers = {"X-Container-Meta-Quota-Bytes": quota} if quota else {}
            request = make_pre_authed_request({}, "PUT", f"/v1/AUTH_{account}/{container}", headers=headers)
            request.get_response(proxy)
    front = eventlet.listen(("127.0.0.1", 0), backlog=512)
    eventlet.spawn(serve, front, one_create_at_a_time(proxy))
    print("READY", front.getsockname()[1], flush=True)
    while os.getppid() == parent:
        eventlet.sleep(1)


if __name__ == "__main__":
    main()
