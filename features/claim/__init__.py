"""Takes a folder for one result: one writer, one kind of result, whole or not there, nothing of others touched.

A command joins with a `Kind` of its own and these lines:

    with Claim(folder, KIND, settings, replace) as claim:
        if claim.finished is None:
            claim.write("table.csv", data)
            claim.commit({"what": "the manifest says"})

Until `commit` an earlier result stays as it is. The manifest names the kind, the settings and every file that was
written; only these are ever replaced or taken away. Where a folder holds several results by name (NAME.json and its
kind), a claim is on that name.
"""

from features.claim.claim import Claim
from features.claim.kind import MANIFEST, Held, Kind, begun_with, need_kind, present_in, unfinished
from features.claim.staging import inner_name, read_json

__all__ = [
    "MANIFEST",
    "Claim",
    "Held",
    "Kind",
    "begun_with",
    "inner_name",
    "need_kind",
    "present_in",
    "read_json",
    "unfinished",
]
