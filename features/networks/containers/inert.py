"""Reads a pickle as inert data: nothing in it is imported, called or run.

A pickle is a program for a small stack machine. This machine follows it and makes plain values of plain types; whatever
else the program names (a class, a function, an object's state) becomes an `Inert` record of what was named and with
what. So a checkpoint's weights can be read beside an optimizer, a Namespace or a whole pickled network, whose tensors
lie in its objects' states.
"""

import io
import pickletools
from collections.abc import Callable, Mapping
from typing import IO, Any

from features.errors import WeightsError

MAX_BYTES = 16 << 20  # of a program: the weights of a ResNet-152 with an optimizer's state take half of one
MAX_OPERATIONS = 1_000_000
MAX_NAMED = 300_000  # classes, functions and calls of them, which take most time
MAX_LINE = 1 << 20  # bytes of an argument that a line's end closes
LONG_TEXT = 1 << 16  # bytes; no longer text has letters beyond Latin-1, as which protocol 2 writes bytes
BEYOND_LATIN = bytes(range(0xC4, 0x100))  # in UTF-8
MARK = object()
PLAIN_KEYS = (str, int, float, bool, bytes, type(None))
SHOWN = 80
ALONE = "Save the network's state_dict alone"

Maker = Callable[..., Any]


class Inert:
    """Something that a pickle names and that is not made here: a class with its arguments and its state."""

    __slots__ = ("arguments", "items", "name", "state")

    def __init__(self, name: str, arguments: tuple = ()) -> None:
        self.name, self.arguments = name, arguments
        self.state: dict[Any, Any] = {}
        self.items: list[Any] | tuple[()] = ()  # no list for each: a hostile file makes a million

    def __repr__(self) -> str:
        return f"<{self.name[:SHOWN]}>"


class Global(Inert):
    """The bare name of a class or function."""

    __slots__ = ()


class Built(Inert):
    """Something that is made here of the state that a pickle gives it."""

    __slots__ = ()

    def build(self, state: Any) -> None:
        raise NotImplementedError


class Stream:
    """A file of known length, of which no more is asked than it has; lines end after MAX_LINE bytes."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self.left = file, size

    def read(self, length: int) -> bytes:
        data = self._file.read(length if length <= self.left else self.left)
        self.left -= len(data)
        return data

    def readline(self) -> bytes:
        data = self._file.readline(min(MAX_LINE, self.left))
        self.left -= len(data)
        return data


def stream(data: bytes) -> Stream:
    return Stream(io.BytesIO(data), len(data))


def load(
    file: Stream, makers: Mapping[str, Maker], persistent: Callable[[Any], Any], at_most: int = MAX_OPERATIONS
) -> Any:
    """The value of the next pickle in a file, which is left right behind it.

    makers: 'module.name' -> what to make of a call to it; a maker gets inert values and must not trust them.
    persistent: makes a value of a persistent id, which is how PyTorch names a tensor's storage. at_most: operations.
    Raises WeightsError for programs that are too long, damaged, or use what no checkpoint needs.
    """
    machine = _Machine(makers, persistent)
    try:
        for _ in range(at_most):
            if _runs_to_its_end(machine, file):
                return machine.stack.pop()
    except WeightsError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeError, OverflowError) as error:
        raise WeightsError(f"a damaged directory of contents ({type(error).__name__})") from error
    raise WeightsError(f"more than {at_most:,} entries, far beyond any network's. {ALONE}")


def _runs_to_its_end(machine: "_Machine", file: Stream) -> bool:
    """Do the next operation of a program; True if it was the last."""
    code = file.read(1)
    if not code:
        raise WeightsError("a directory of contents that breaks off")
    if code == b".":
        return True
    handler, reader = _OPERATIONS[code]
    handler(machine, None if reader is None else reader(file))
    return False


def _text(width: int) -> Callable[[Stream], str]:
    """Reads a text behind its length, which has `width` bytes. Letters beyond Latin-1 would take four bytes each."""

    def read(file: Stream) -> str:
        length = int.from_bytes(file.read(width), "little")
        data = file.read(length)
        if len(data) < length:
            raise ValueError("a text that breaks off")
        if length > LONG_TEXT and len(data.translate(None, BEYOND_LATIN)) < length:
            raise WeightsError(f"a text of {length / 2**20:,.1f} MiB, which no checkpoint has")
        return data.decode("utf-8", "surrogatepass")

    return read


def _two_lines(file: Stream) -> str:
    """The module and the name of a global, which have a line each, with a dot between."""
    return f"{_line(file)}.{_line(file)}"


def _line(file: Stream) -> str:
    data = file.readline()
    if not data.endswith(b"\n"):
        raise ValueError("a line that breaks off")
    return data[:-1].decode()


class _Machine:
    """The stack, the memo, and what each operation does to them."""

    def __init__(self, makers: Mapping[str, Maker], persistent: Callable[[Any], Any]) -> None:
        self.makers, self.persistent = makers, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.named = 0

    def _push(self, argument: Any) -> None:
        self.stack.append(argument)

    def _put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _get(self, number: int) -> None:
        self.stack.append(self.memo[number])

    def _ignore(self, _: Any) -> None:
        pass

    def _since_mark(self) -> list[Any]:
        values = []
        while (value := self.stack.pop()) is not MARK:
            values.append(value)
        values.reverse()
        return values

    def _mark(self, _: Any) -> None:
        self.stack.append(MARK)

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _tuple1(self, _: Any) -> None:
        self._join(1)

    def _tuple2(self, _: Any) -> None:
        self._join(2)

    def _tuple3(self, _: Any) -> None:
        self._join(3)

    def _join(self, number: int) -> None:
        values = tuple(self.stack[-number:])
        del self.stack[-number:]
        self.stack.append(values)

    def _list(self, _: Any) -> None:
        self.stack.append(self._since_mark())

    def _dict(self, _: Any) -> None:
        values = self._since_mark()
        self.stack.append({})
        self._set_all(values)

    def _frozenset(self, _: Any) -> None:
        self.stack.append(self._since_mark())

    def _append(self, _: Any) -> None:
        value = self.stack.pop()
        _listed(self.stack[-1]).append(value)

    def _appends(self, _: Any) -> None:
        values = self._since_mark()
        _listed(self.stack[-1]).extend(values)

    _additems = _appends

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _set(self.stack[-1], key, value)

    def _setitems(self, _: Any) -> None:
        self._set_all(self._since_mark())

    def _set_all(self, values: list[Any]) -> None:
        target = self.stack[-1]
        for key, value in zip(values[::2], values[1::2], strict=True):
            _set(target, key, value)

    def _count_named(self) -> None:
        self.named += 1
        if self.named > MAX_NAMED:
            raise WeightsError(f"more than {MAX_NAMED:,} names of classes and calls. {ALONE}")

    def _global(self, argument: str) -> None:
        self._count_named()
        self.stack.append(Global(argument))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._global(f"{module}.{name}")

    def _reduce(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(self._called(function, arguments))

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        self.stack.pop()  # keywords
        self._reduce(None)

    def _obj(self, _: Any) -> None:
        function, *arguments = self._since_mark()
        self.stack.append(self._called(function, tuple(arguments)))

    def _inst(self, argument: str) -> None:
        arguments = tuple(self._since_mark())
        self.stack.append(self._called(Global(argument), arguments))

    def _called(self, function: Any, arguments: Any) -> Any:
        name = function.name if isinstance(function, Inert) else type(function).__name__
        self._count_named()
        arguments = arguments if isinstance(arguments, tuple) else (arguments,)
        maker = self.makers.get(name) if isinstance(function, Global) else None
        return maker(*arguments) if maker is not None else Inert(name, arguments)

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Built):
            target.build(state)
        elif isinstance(target, Inert):
            for part in state if isinstance(state, tuple) else (state,):  # with slots: (state, slots' state)
                if isinstance(part, dict):
                    target.state.update(part)

    def _persid(self, argument: str) -> None:
        self.stack.append(self.persistent(argument))

    def _binpersid(self, _: Any) -> None:
        self.stack.append(self.persistent(self.stack.pop()))


def _set(target: Any, key: Any, value: Any) -> None:
    entries = target.state if isinstance(target, Inert) else target
    # Hashing a tuple of tuples of ... can take for ever; such a key names no weights.
    entries[key if isinstance(key, PLAIN_KEYS) else Inert("a key that is no text")] = value


def _listed(target: Any) -> list[Any]:
    if not isinstance(target, Inert):
        return target
    target.items = target.items or []
    return target.items


def _pushing(make: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    def push(machine: _Machine, _: Any) -> None:
        machine.stack.append(make())

    return push


def _refuse(machine: _Machine, _: Any) -> None:
    raise WeightsError(f"an entry of a kind that no checkpoint has. {ALONE}")


_READERS: dict[str, Callable[[Any], Any]] = {
    "SHORT_BINUNICODE": _text(1), "BINUNICODE": _text(4), "BINUNICODE8": _text(8), "GLOBAL": _two_lines,
    "INST": _two_lines,
}  # fmt: skip
_HANDLERS: dict[str, Callable[[_Machine, Any], None]] = {
    name: getattr(_Machine, f"_{name.lower()}")
    for name in (each.name for each in pickletools.opcodes)
    if hasattr(_Machine, f"_{name.lower()}")
}
_HANDLERS |= dict.fromkeys(("PROTO", "FRAME"), _Machine._ignore)
_HANDLERS |= dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine._put)
_HANDLERS |= dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine._get)
_HANDLERS |= dict.fromkeys(
    (
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "STRING", "BINSTRING", "SHORT_BINSTRING",
        "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
        "BYTEARRAY8", "FLOAT", "BINFLOAT",
    ),
    _Machine._push,
)  # fmt: skip
_HANDLERS |= {
    "NONE": _pushing(lambda: None), "NEWTRUE": _pushing(lambda: True), "NEWFALSE": _pushing(lambda: False),
    "EMPTY_LIST": _pushing(list), "EMPTY_TUPLE": _pushing(tuple), "EMPTY_DICT": _pushing(dict),
    "EMPTY_SET": _pushing(list),
}  # fmt: skip
# By its byte: what an operation does, and what reads its argument.
_OPERATIONS: dict[bytes, tuple[Callable[[_Machine, Any], None], Callable[[Any], Any] | None]] = {
    each.code.encode("latin-1"): (
        _HANDLERS.get(each.name, _refuse),
        _READERS.get(each.name, each.arg.reader if each.arg else None),
    )
    for each in pickletools.opcodes
}
