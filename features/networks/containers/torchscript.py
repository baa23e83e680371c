"""What TorchScript's modules keep in their code, read as text: the constants of their layers, as pickled ones have.

A scripted module has its constants as `stride : Final[Tuple[int, int]] = (2, 2)`, a traced one as arguments of a call.
"""

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

from features.networks.containers.inert import Inert
from features.networks.containers.tensors import TensorRecord

PREFIX = "__torch__."
MANGLED = re.compile(r"___torch_mangle_\d+\.")
MAX_MODULES, MAX_VALUE = 10_000, 200
FINAL = re.compile(rf"^  (\w+) : Final\[[^=\n]*\] = (.{{1,{MAX_VALUE}}})$", re.MULTILINE)
SIDES, SWITCH, NUMBER = r"(\[[\d, ]*\])", r"(True|False)", r"(-?[\d.]+(?:e-?\d+)?)"
CALLS = tuple(
    (re.compile(pattern), names)
    for pattern, names in (
        (rf"torch\._convolution\([\w, ]*, {SIDES}, {SIDES}, {SIDES}, False, \[[\d, ]*\], (\d+),",
         ("stride", "padding", "dilation", "groups")),
        (rf"torch\.max_pool2d\(\w+, {SIDES}(?:, {SIDES})?(?:, {SIDES})?(?:, \[1, 1\])?(?:, {SWITCH})?\)",
         ("kernel_size", "stride", "padding", "ceil_mode")),
        (rf"torch\.avg_pool2d\(\w+, {SIDES}(?:, {SIDES})?(?:, {SIDES})?(?:, {SWITCH})?(?:, {SWITCH})?\)",
         ("kernel_size", "stride", "padding", "ceil_mode")),
        (rf"torch\.batch_norm\([\w, .-]*, {NUMBER}, {SWITCH}\)", ("eps",)),
        (rf"bn_training\w*, [\d.e-]+, {NUMBER}, \)", ("eps",)),
        (rf"torch\.group_norm\(\w+, (\d+), \w+, \w+, {NUMBER},", ("num_groups", "eps")),
        (rf"torch\.leaky_relu_?\(\w+, {NUMBER}\)", ("negative_slope",)),
    )
)  # fmt: skip


def with_constants(root: Any, code: Callable[[str], str]) -> Any:
    """The root of a TorchScript archive whose modules have children and constants as those that torch.save pickles.

    code: the text of a file of code by its path in the archive, '' for none.
    """
    texts: dict[str, str] = {}
    told: dict[str, dict[str, Any]] = {}
    stack, seen = [root], set[int]()
    while stack and len(seen) < MAX_MODULES:
        module = stack.pop()
        if not isinstance(module, Inert) or not module.name.startswith(PREFIX) or id(module) in seen:
            continue
        seen.add(id(module))
        *path, kind = module.name.split(".")
        file = f"{'/'.join(path)}.py"
        if file not in texts:
            texts[file] = code(file)
        if module.name not in told:
            told[module.name] = dict(_constants(_class_in(texts[file], kind)))
        children = {key: each for key, each in module.state.items() if _is_module(each)}
        others = {
            key: each for key, each in module.state.items()
            if key not in children and isinstance(each, TensorRecord | Inert | dict | list | tuple)
        }  # fmt: skip
        module.state = {**told[module.name], "_parameters": {}, "_buffers": others, "_modules": children}
        stack += children.values()
    return root


def plain_name(module: Inert) -> str:
    """The name of a module's class as its code has it: 'torchvision.models.resnet.ResNet'."""
    return MANGLED.sub("", module.name.removeprefix(PREFIX))


def _is_module(value: Any) -> bool:
    return isinstance(value, Inert) and value.name.startswith(PREFIX)


def _class_in(text: str, kind: str) -> str:
    start = text.find(f"class {kind}(Module):")
    end = text.find("\nclass ", start + 1)
    return "" if start < 0 else text[start:] if end < 0 else text[start:end]


def _constants(text: str) -> Iterator[tuple[str, Any]]:
    """Constants of a class, by their names as attributes."""
    for pattern, names in CALLS:
        calls = list(pattern.finditer(text))
        if len(calls) == 1:
            yield from ((name, _value(value)) for name, value in zip(names, calls[0].groups(), strict=False) if value)
    for match in FINAL.finditer(text):
        yield match[1], _value(match[2])


def _value(text: str) -> Any:
    """A literal; None for anything else."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return tuple(value) if isinstance(value, list) else value
