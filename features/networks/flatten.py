"""Every tensor of a file under one dotted name, however it is nested: in dicts, lists, objects or whole networks."""

from collections.abc import Mapping
from typing import Any

from features.errors import WeightsError
from features.networks.containers import Content, Inert, TensorRecord
from features.networks.containers.arrays import Array
from features.networks.containers.tensors import MAX_NAME
from features.networks.spellings import WRAPPERS

MAX_NODES = 400_000
MAX_DEPTH = 64
LARGE = 10**9
# Of a pickled nn.Module, whose tensors have the names that its state_dict would give them.
KEYS = (str, int, bytes)
MODULE_PARTS = ("_parameters", "_buffers", "_modules")


def tensors_of(content: Content) -> dict[str, TensorRecord]:
    """Name -> record, in the file's order: {'model': {'conv1.weight': ...}} gives 'model.conv1.weight'.

    Raises WeightsError for names that are too long and files that are nested too deeply or have too many entries.
    """
    records: dict[str, TensorRecord] = {}
    stack: list[tuple[str, Any, int]] = [("", content.values, 0)]
    nodes = 0
    while stack:
        name, value, depth = stack.pop()
        nodes += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise WeightsError(
                f"{content.path.name} is nested more deeply than any checkpoint. Save its state_dict alone."
            )
        value = value.record or value if isinstance(value, Array) else value
        if isinstance(value, TensorRecord):
            records[name] = value
            continue
        children = _children(value)
        for key, child in reversed(children):
            if len(name) + len(key) > MAX_NAME:
                raise WeightsError(f"{content.path.name} has a name of {len(name) + len(key):,} letters. Save it anew.")
            joined = f"{name}.{key}" if name and key else name or key
            stack.append((joined, child, depth + 1))
    return records


def unwrapped(records: Mapping[str, TensorRecord]) -> Mapping[str, TensorRecord]:
    """Tensors without the steps of their names that only wrap a layer, unless two would be called the same.

    'layer1._orig_mod.0.conv1.weight' is 'layer1.0.conv1.weight'. Those before a whole network stay: they name a part.
    """
    names = {name: _unwrapped(name) for name in records}
    if len(set(names.values())) < len(names):
        return records
    return {names[name]: record for name, record in records.items()}


def _unwrapped(name: str) -> str:
    if not any(f"{wrapper}." in name for wrapper in WRAPPERS):
        return name
    kept: list[str] = []
    steps, inside = name.split("."), False
    for at, step in enumerate(steps):
        if step not in WRAPPERS or not (inside or at == len(steps) - 2):
            kept.append(step)
            inside = inside or any(map(str.isdecimal, step))  # numbers are those of stages, blocks and layers
    return ".".join(kept)


def _children(value: Any) -> list[tuple[str, Any]]:
    """What lies directly in a value, with names."""
    if isinstance(value, dict):
        return [(_text(key), child) for key, child in value.items() if isinstance(key, KEYS) and _holds(child)]
    if isinstance(value, list | tuple) and value and all(map(_is_named, value)):
        return list(value)
    if isinstance(value, list | tuple):
        return [(str(number), child) for number, child in enumerate(value) if _holds(child)]
    if isinstance(value, Inert):
        if "_modules" in value.state:
            parts = [(part, value.state[part]) for part in MODULE_PARTS if isinstance(value.state.get(part), dict)]
            unsaved = _unsaved(value)
            return [
                ("", {key: each for key, each in inside.items() if part != "_buffers" or key not in unsaved})
                for part, inside in parts
            ]
        entries = [(str(key), child) for key, child in value.state.items() if isinstance(key, str) and _holds(child)]
        return entries + [(str(number), child) for number, child in enumerate(value.items) if _holds(child)]
    return []


def _unsaved(module: Inert) -> tuple[Any, ...]:
    """Names of the buffers that a module's state_dict leaves out."""
    names = module.state.get("_non_persistent_buffers_set", ())
    names = names.arguments[0] if isinstance(names, Inert) and names.arguments else names
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list | tuple) else ()


def _text(key: str | int | bytes) -> str:
    if isinstance(key, int):
        return f"{key:x}" if abs(key) >= LARGE else str(key)  # decimals of huge ones take for ever
    return key.decode(errors="replace") if isinstance(key, bytes) else key  # Python 2 wrote bytes


def _is_named(value: Any) -> bool:
    """Whether something is a name with a tensor, as in a list of the items of a state dict."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], TensorRecord)
    )


def _holds(value: Any) -> bool:
    return isinstance(value, dict | list | tuple | Inert | TensorRecord)
