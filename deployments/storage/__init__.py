"""Where uploads and results are stored: a local folder or an S3 bucket, chosen by the URL alone."""

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
