"""A workspace as one file that another machine opens: JSON in a zip, of which nothing is trusted."""

import io
import zipfile
import zlib
from dataclasses import dataclass

from features.notes import FORMATS, Book, noted_in
from features.progress import Task
from features.workspace.standing import with_contents
from features.workspace.workspace import MOST_BYTES, Workspace, WorkspaceError, decode, encode

WORKSPACE, NOTES = "workspace.json", "notes.jsonl"
MEMBERS = {WORKSPACE: MOST_BYTES, NOTES: 256 * 2**20}  # and how many bytes each may have
MOST_PACKED = 256 * 2**20
MADE = (1980, 1, 1, 0, 0, 0)  # the time of all members, so that the same workspace is the same file


@dataclass(frozen=True)
class Package:
    """What a file holds. notes: of its images, as `notes.of_table` reads them; b'' for none."""

    workspace: Workspace
    notes: bytes


def packed(workspace: Workspace, book: Book | None = None) -> Task[bytes]:
    """A workspace as a zip, with what tells the images of its selections, and the notes of all of its images.

    Neither weights nor images are in it. book: whose notes, None for none. Raises FeatureError if one cannot be read.
    """
    whole = yield from with_contents(workspace)
    members = {WORKSPACE: encode(whole)}
    if book is not None:
        notes = book.notes()
        noted = yield from noted_in(whole.images.open(), notes)
        digests = {each.digest for each in noted.of.values()}
        text = FORMATS["jsonl"].write(notes.where(lambda each: each.digest in digests))
        members |= {NOTES: text.encode()} if text else {}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, MADE), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def unpacked(data: bytes, where: str) -> Package:
    """What a zip holds that somebody else may have made. where: the file, as errors call it.

    Nothing is written anywhere; members that are none of a workspace's, are too large or say another size than they
    have are refused. Raises WorkspaceError.
    """
    if len(data) > MOST_PACKED:
        raise WorkspaceError(f"{where} has more than {MOST_PACKED // 2**20} MiB, which no workspace has.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            strange = [name for name in names if name not in MEMBERS]
            if strange or len(set(names)) < len(names) or WORKSPACE not in names:
                what = f"it holds {strange[0][:80]!r}" if strange else f"it holds {', '.join(names[:4]) or 'nothing'}"
                raise WorkspaceError(f"{where} is no workspace: {what}. Wanted {WORKSPACE}, and {NOTES} or not.")
            told = {member.filename: _read(archive, member, where) for member in members}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, zlib.error) as error:
        raise WorkspaceError(f"{where} is no zip of a workspace, or is damaged ({error}). Export it again.") from error
    return Package(decode(told[WORKSPACE], f"{WORKSPACE} in {where}"), told.get(NOTES, b""))


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bytes:
    most = MEMBERS[member.filename]
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise WorkspaceError(f"{member.filename} in {where} is packed as no workspace is. Export it again.")
    with archive.open(member) as file:
        data = file.read(most + 1)  # whatever size it says that it has
    if len(data) > most:
        raise WorkspaceError(f"{member.filename} in {where} has more than {most // 2**20} MiB. It is not opened.")
    return data
