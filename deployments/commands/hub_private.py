"""What `hub.py` uses of huggingface_hub beyond its public API, in one place for when that changes.

The public client resumes a transfer only within one run, so the transfer itself (`http_get`, with the client's headers)
is called directly; the names and checksums must be the client's own, or no library would find the files.
"""

from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._paths import filter_repo_objects
from huggingface_hub.utils.sha import git_hash
from huggingface_hub.utils.tqdm import tqdm

__all__ = ["RepoFile", "build_hf_headers", "filter_repo_objects", "git_hash", "http_get", "repo_folder_name", "tqdm"]
