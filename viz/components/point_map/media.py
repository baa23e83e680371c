"""Addresses from which the browser fetches what is too large to travel with every run of a page."""

import hashlib
import secrets

from streamlit import runtime

# Streamlit names a file above 1 MiB by its length and three samples of it, which a change elsewhere leaves alone. So
# files get a digest of the whole as well. It is keyed: whoever knows what a file holds still cannot guess its address.
_SECRET = secrets.token_bytes(32)
BINARY = "application/octet-stream"
# Streamlit compresses what it serves, but no sound. For a million points that took 0.6 s and left 91 % of the bytes.
# What goes under this name is 32-bit numbers as sound would be, and is served as it is.
RAW = "audio/x-float32"


def digest(content: bytes) -> str:
    """What tells this content from others, in this process."""
    return hashlib.blake2b(content, key=_SECRET, digest_size=20).hexdigest()


def address(content: bytes, part: str, mimetype: str = BINARY, name: str = "") -> str:
    """Where the browser finds this content, for as long as the visitor's page goes on asking for it; '' outside an app.

    Ask anew with every run of a page: what a run does not ask for is forgotten at its end. part: what it is on the
    page; another content under the same part takes its place. name: its `digest`, where known.
    Visitors with the same content share one copy in the server's memory, which goes when the last of them has gone.
    """
    if not runtime.exists():
        return ""
    files = runtime.get_instance().media_file_mgr
    return files.add(content, mimetype, f"point map {part}", name or digest(content))
