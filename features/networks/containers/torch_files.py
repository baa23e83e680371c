"""Reads what torch.save and pickle.dump write: zip archives, TorchScript among them, and single files."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from features.errors import WeightsError
from features.networks.containers import arrays, inert
from features.networks.containers.arrays import as_bytes
from features.networks.containers.inert import Inert, Maker, Stream, stream
from features.networks.containers.tensors import EXPANSION, HEADROOM, Storage, odd, retyped, strided
from features.networks.containers.torchscript import with_constants

MAGIC = 0x1950A86A20F9469CFC6C  # of the single files
DIRECTORY = "data.pkl"
MAX_CODE = 1 << 17  # bytes of one file of TorchScript's
MAX_MEMBERS = 50_000  # of an archive: the tensors of a ResNet-1202 and of its optimizer are 21,000
STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64, "ComplexDoubleStorage": torch.complex128, "UntypedStorage": torch.uint8,
}  # fmt: skip


def read_zip(path: Path) -> Any:
    """The content of a zip archive of torch.save or TorchScript as inert values.

    Raises WeightsError if it is none of these, is damaged, or would expand far beyond its size.
    """
    try:
        archive = _Archive(path)
        return with_constants(archive.content(), archive.code)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(f"a damaged archive ({error}). Copy or download it again") from error


class _Archive:
    """A zip archive of PyTorch's, whose members are read when they are wanted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Open for as long as tensors may be read: to open it for each would parse its directory as often.
        self._file = zipfile.ZipFile(path)
        self.entries = {entry.filename: entry for entry in self._file.infolist()}
        if len(self.entries) > MAX_MEMBERS:  # before the program that names them is followed
            raise WeightsError(f"{len(self.entries):,} tensors, where at most {MAX_MEMBERS:,} are read")
        names = [name for name in self.entries if PurePosixPath(name).name == DIRECTORY]
        if not names:
            raise WeightsError(_other_zip(self.entries))
        self.root = min(names, key=len).removesuffix(DIRECTORY)
        if self.entries.get(f"{self.root}byteorder") and self._bytes(f"{self.root}byteorder", 16) != b"little":
            raise WeightsError("numbers in the order of another kind of machine. Save it again on a common one")
        self._given: dict[str, Storage] = {}
        self._code_left = inert.MAX_BYTES

    def content(self) -> Any:
        """What the directory says, NumPy's arrays in it too: of its own size at most, so that nothing expands."""
        name = f"{self.root}{DIRECTORY}"
        entry = self.entries[name]
        if entry.compress_type != zipfile.ZIP_STORED:
            return inert.load(stream(self._bytes(name, inert.MAX_BYTES)), MAKERS, self.storage)
        size = min(entry.file_size, self.path.stat().st_size)
        with self._file.open(name) as member, io.BufferedReader(member, 1 << 16) as file:  # type: ignore[type-var]
            content = inert.load(Stream(file, size), MAKERS, self.storage)
            while file.read(1 << 20):  # to the end, where its sum is checked
                pass
        return content

    def code(self, name: str) -> str:
        """The text of a file of TorchScript's code, '' where there is none or too much."""
        entry = self.entries.get(f"{self.root}code/{name}")
        if entry is None or entry.file_size > MAX_CODE:
            return ""
        self._code_left -= entry.file_size
        return self._read(entry.filename).decode(errors="replace") if self._code_left > 0 else ""

    def storage(self, identity: Any) -> Any:
        """What a persistent id stands for."""
        kind, key, numel = _storage_id(identity)
        if kind is None:
            return Inert("torch.storage")
        name = f"{self.root}data/{key}"
        if key not in self._given:
            if name not in self.entries:
                raise WeightsError("a tensor whose numbers are missing. Copy or download it again")
            entry = self.entries[name]
            if entry.file_size < numel * kind.itemsize:
                raise WeightsError(f"a storage of {numel:,} numbers with room for fewer. Copy or download it again")
            if entry.file_size > EXPANSION * self.path.stat().st_size + HEADROOM:
                raise WeightsError(f"a storage that expands to {entry.file_size / 2**30:,.1f} GiB")
            self._given[key] = Storage(kind, numel, lambda: self._read(name))
        return self._given[key]

    def _read(self, name: str) -> bytes:
        try:
            return self._file.read(name)  # checks its sum
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
            raise WeightsError(f"{self.path.name} is damaged: {error}. Copy or download it again.") from error

    def _bytes(self, name: str, limit: int) -> bytes:
        if self.entries[name].file_size > limit:
            raise WeightsError(
                f"a directory of contents of {self.entries[name].file_size / 2**20:,.0f} MiB. Save tensors alone"
            )
        return self._read(name)


def _other_zip(entries: Mapping[str, object]) -> str:
    names = [PurePosixPath(name).name for name in entries]
    if any(name.startswith("serialized_exported_program") or name == "archive_format" for name in names):
        return "an exported program (torch.export). Save torch.save(model.state_dict(), ...) instead"
    if any(name.endswith((".keras", "model.weights.h5")) for name in names):
        return "a Keras model. Convert its weights to PyTorch first"
    if any(name.endswith(".npy") for name in names):
        return (
            "a zip archive of NumPy's arrays. Save them as tensors under their names: "
            "torch.save({name: torch.from_numpy(array) for name, array in numpy.load(FILE).items()}, NEW)"
        )
    return "a zip archive without PyTorch's directory of contents. Unpack it, and give the weights' file"


def _storage_id(identity: Any) -> tuple[torch.dtype | None, str, int]:
    """dtype, key and number of elements of ('storage', type, key, location, numel)."""
    if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
        return None, "", 0
    _, kind, key, _, numel, *_ = identity
    name = kind.name.rpartition(".")[2] if isinstance(kind, Inert) else ""
    if name not in STORAGES or not isinstance(key, str | int) or not isinstance(numel, int) or numel < 0:
        return None, "", 0
    return STORAGES[name], str(key), numel


def read_single(path: Path) -> tuple[str, Any]:
    """The format and the content of a single file of PyTorch before 1.6, or of any pickle, as inert values."""
    size = path.stat().st_size
    with path.open("rb") as opened:
        is_torchs = MAGIC.to_bytes(10, "little") in opened.read(64)
        opened.seek(0)
        file = Stream(opened, size)
        if is_torchs:
            return "torch before 1.6", _old_torch(path, file, size)
        content = inert.load(file, MAKERS | {"torch.storage._load_from_bytes": _Inside(path)}, lambda identity: None)
        if file.left:
            raise WeightsError("a pickle with something behind it. Save what belongs to the network in one dict")
        return "pickle", content


def _old_torch(path: Path, file: Stream, size: int) -> Any:
    for _ in range(3):  # the magic number, the protocol's version and facts of the machine
        inert.load(file, {}, lambda identity: None)
    storages: dict[str, _Place] = {}

    def storage(identity: Any) -> Any:
        kind, key, numel = _storage_id(identity)
        if kind is None:
            return Inert("torch.storage")
        place = storages.setdefault(key, _Place(path, kind, numel))
        view = identity[5] if len(identity) > 5 else None
        if isinstance(view, tuple) and len(view) == 3:  # a part of a larger storage: (key, offset, numel)
            return Storage(
                kind, numel, lambda: place.read()[view[1] * kind.itemsize : (view[1] + numel) * kind.itemsize]
            )
        return Storage(kind, numel, place.read)

    content = inert.load(file, MAKERS, storage)
    keys = inert.load(file, {}, lambda identity: None)
    at = size - file.left
    for key in keys if isinstance(keys, list) else []:
        place = storages.get(str(key))
        if place is None:
            break  # what follows belongs to storages that nothing names
        place.start = at + 8  # behind the number of elements
        at = place.start + place.numel * place.kind.itemsize
        if at > size:
            raise WeightsError("numbers that break off: the file is not whole. Copy or download it again")
    return content


class _Inside:
    """Reads storages that pickle.dump wrote as files of torch.save inside its own: one storage each."""

    MOST, HEAD, OPERATIONS = 8_000, 4096, 64

    def __init__(self, path: Path) -> None:
        self.path = path
        self._given: dict[int, tuple[Any, Storage]] = {}  # with the bytes, so that no others get their number

    def __call__(self, data: Any = None, *_: Any) -> Any:
        if not isinstance(data, bytes | bytearray | str):
            return Inert("torch.storage")
        if id(data) not in self._given:
            if len(self._given) >= self.MOST:
                raise WeightsError(f"more than {self.MOST:,} storages, far beyond any network's")
            self._given[id(data)] = data, self._storage(data)
        return self._given[id(data)][1]

    def _storage(self, data: bytes | bytearray | str) -> Storage:
        head = as_bytes(data[: self.HEAD])
        if MAGIC.to_bytes(10, "little") not in head[:64]:
            raise WeightsError("a tensor in a form that is not known. Save torch.save(model.state_dict(), ...)")
        file = stream(head)
        told = [inert.load(file, {}, _storage_id, self.OPERATIONS) for _ in range(5)][3]
        start = len(head) - file.left + 8
        if not isinstance(told, tuple) or len(told) != 3 or not isinstance(told[0], torch.dtype):
            raise WeightsError("a storage that is none. Save torch.save(model.state_dict(), ...)")
        kind, _, numel = told
        end = start + numel * kind.itemsize
        if end > len(data):
            raise WeightsError(f"a storage of {numel:,} numbers with room for fewer. Copy or download it again")
        return Storage(kind, numel, lambda: as_bytes(data[start:end]))


@dataclass
class _Place:
    """Where a storage's numbers lie in a single file; known once its directory has been read."""

    path: Path
    kind: torch.dtype
    numel: int
    start: int = -1

    def read(self) -> bytes:
        if self.start < 0:
            raise WeightsError(f"{self.path.name} lacks the numbers of a tensor. Copy or download it again.")
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.numel * self.kind.itemsize)


def _first(value: Any = None, *_: Any) -> Any:
    return value


def _of_graph(attributes: Any = None, *_: Any) -> Inert:
    """A module that torch.fx has traced, whose program is text that is left aside."""
    module = Inert("torch.fx.graph_module.GraphModule")
    module.state = attributes if isinstance(attributes, dict) else {}
    return module


def _retyped(function: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    """What a subclass of Tensor keeps: the function that rebuilds it, and with what."""
    maker = MAKERS.get(function.name) if isinstance(function, Inert) else None
    return maker(*arguments) if maker is not None and isinstance(arguments, tuple) else Inert("torch.Tensor")


def _pairs(pairs: Any = (), *_: Any) -> dict[Any, Any]:
    """An OrderedDict of pairs."""
    tensors = {}
    for pair in pairs if isinstance(pairs, list | tuple) else ():
        if isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str):
            tensors[pair[0]] = pair[1]
    return tensors


def _path(*parts: Any) -> str:
    return "/".join(part for part in parts if isinstance(part, str))


MAKERS: dict[str, Maker] = {
    **arrays.MAKERS,
    "_codecs.encode": _first,  # how protocol 2 writes bytes
    "collections.OrderedDict": _pairs,
    "collections.defaultdict": lambda *_: {},
    "builtins.dict": lambda *_: {},
    "__builtin__.dict": lambda *_: {},
    "torch.Size": lambda values=(), *_: tuple(values) if isinstance(values, list | tuple) else (),
    "torch._utils._rebuild_tensor_v2": strided,
    "torch._utils._rebuild_tensor_v3": retyped,
    "torch._utils._rebuild_tensor": strided,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._tensor._rebuild_from_type_v2": _retyped,
    "torch._utils._rebuild_sparse_tensor": odd("sparse"),
    "torch._utils._rebuild_sparse_csr_tensor": odd("sparse"),
    "torch._utils._rebuild_qtensor": odd("quantised"),
    "torch._utils._rebuild_meta_tensor_no_storage": odd("meta"),
    "torch._utils._rebuild_nested_tensor": odd("nested"),
    "torch._dynamo.eval_frame.OptimizedModule": _first,
    "torch.fx.graph_module.reduce_graph_module": _of_graph,
    "torch.nn.parameter.UninitializedParameter": odd("uninitialised"),
    "pathlib.PosixPath": _path,
    "pathlib.PurePosixPath": _path,
    "pathlib.WindowsPath": _path,
    "pathlib._local.PosixPath": _path,
    "fastcore.foundation.L": lambda items=(), *_: items,
}
