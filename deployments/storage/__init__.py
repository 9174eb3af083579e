"""Where uploads and results lie: a local folder, or a bucket of an S3 server, told apart by URL alone."""

from deployments.storage.errors import RangeNotSatisfiable, SignatureInvalid
from deployments.storage.names import SWEPT, Bucket, ByteRange, image_name, parse_range, upload_name, video_name
from deployments.storage.store import ObjectMeta, ObjectStore

__all__ = [
    "SWEPT",
    "Bucket",
    "ByteRange",
    "ObjectMeta",
    "ObjectStore",
    "RangeNotSatisfiable",
    "SignatureInvalid",
    "image_name",
    "parse_range",
    "upload_name",
    "video_name",
]
