"""What a person notes of images: tags, a note, a corrected label; kept in one file of their own.

An image is known by the digest of its content, so that it is the same in whatever folder, archive or set it lies. What
is noted lies in a small SQLite file (`Book`), as acts to which others are added and that are never rewritten, so that
each can be undone and tells whose it is. A set keeps the labels that its source tells until corrections are asked for
(`datasets.corrections`), which make it another set.
"""

from features.notes.book import Book, author
from features.notes.contents import Content, Contents, content, contents
from features.notes.current import ImageNotes, Notes
from features.notes.images import NotedImages, noted_in, record, write
from features.notes.incoming import Incoming, incoming, of_table
from features.notes.journal import DO, LABEL, NOTE, REDO, TAG, UNDO, YES, Act, Change, NotesError, Seen, field_of
from features.notes.merging import Conflict, Merge, apply, merge
from features.notes.tables import FORMATS, as_list

__all__ = [
    "DO",
    "FORMATS",
    "LABEL",
    "NOTE",
    "REDO",
    "TAG",
    "UNDO",
    "YES",
    "Act",
    "Book",
    "Change",
    "Conflict",
    "Content",
    "Contents",
    "ImageNotes",
    "Incoming",
    "Merge",
    "NotedImages",
    "Notes",
    "NotesError",
    "Seen",
    "apply",
    "as_list",
    "author",
    "content",
    "contents",
    "field_of",
    "incoming",
    "merge",
    "noted_in",
    "of_table",
    "record",
    "write",
]
