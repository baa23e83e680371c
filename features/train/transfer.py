"""Fills a new network with the weights of one that exists, its head as far as the classes are the same."""

from torch import Tensor

from features.datasets.labels import known_places
from features.errors import FeatureError
from features.networks.canonical import ResidualNetwork
from features.networks.zoo import Model
from features.train.heads import Head

CLASSIFIER = "head.fc."
NAMED = 4  # classes in a sentence


def transfer(source: Model, network: ResidualNetwork, head: Head | None, class_names: tuple[str, ...]) -> str:
    """Copy a source's weights and running statistics into a network of its architecture; tells what of its head.

    The rows of the head's last layer are kept for classes that both have, by name as labels are matched with classes,
    or in order where the source does not name as many classes; rows of other classes stay as they were drawn. Without a
    class in common, or under a head of another kind, the whole head stays as it was drawn.
    Raises FeatureError if the tensors of the two differ in shape.
    """
    state, given = network.state_dict(), source.network.state_dict()
    trunk = {name: tensor for name, tensor in given.items() if not name.startswith(CLASSIFIER)}
    wanted = {name: tensor.shape for name, tensor in state.items() if not name.startswith(CLASSIFIER)}
    if {name: tensor.shape for name, tensor in trunk.items()} != wanted:
        raise FeatureError(
            f"The tensors of {source.spec.name} are not those of a network of {source.spec.architecture.describe()}. "
            "Start from another network."
        )
    places = _places(source, head, class_names)
    kept = [(row, place) for row, place in enumerate(places) if place is not None]
    classifier = _classifier(state, given, kept) if kept else {}
    network.load_state_dict({**state, **trunk, **classifier})
    return _told(source, class_names, places)


def _places(source: Model, head: Head | None, class_names: tuple[str, ...]) -> list[int | None]:
    """The row of the source's head for each of the new one's; None for those that it does not have."""
    if head is None or source.network.classifier is None or source.spec.outputs is not head.outputs:
        return [None] * len(class_names)
    unnamed = _is_unnamed(source, class_names)
    places = [*range(len(class_names))] if unnamed else known_places(source.spec, class_names)
    if head.logits(class_names) == len(class_names):
        return places
    return [0, 0] if places == [0, 1] else [None] * len(class_names)  # the one logit of the same two, in their order


def _is_unnamed(source: Model, class_names: tuple[str, ...]) -> bool:
    """Whether only the order of a source's classes can tell which they are."""
    return not source.spec.class_names and len(source.spec.classes) == len(class_names)


def _classifier(state: dict[str, Tensor], given: dict[str, Tensor], kept: list[tuple[int, int]]) -> dict[str, Tensor]:
    """The tensors of a head with some rows of another's. kept: (row, row of the other)."""
    names = [name for name in state if name.startswith(CLASSIFIER)]
    last = names[-1].rpartition(".")[0]  # of several layers, all but the last are the same whatever the classes
    made = {name: given[name] for name in names if name.rpartition(".")[0] != last}
    for name in (name for name in names if name.rpartition(".")[0] == last):
        tensor = state[name].clone()
        for row, place in kept:
            tensor[min(row, len(tensor) - 1)] = given[name][place]
        made[name] = tensor
    return made


def _told(source: Model, class_names: tuple[str, ...], places: list[int | None]) -> str:
    """What became of the source's head, in a sentence."""
    name, before = source.spec.name, len(source.spec.classes)
    new = [each for each, place in zip(class_names, places, strict=True) if place is None]
    if source.network.classifier is None:
        return f"{name} has no head; one of {len(class_names)} classes was drawn." if class_names else ""
    if not class_names:
        return f"The head of {name} with its {before:,} classes was dropped."
    if len(new) == len(class_names):
        return f"The head of {name} with its {before:,} classes was dropped for a new one of {len(class_names):,}."
    if not new and _is_unnamed(source, class_names):
        return (
            f"The head of {name}, which does not name its classes, was kept in the order of {_some([*class_names])}; "
            "if they are others, name them: FILE?classes=NAMES.txt."
        )
    if not new and before == len(class_names):
        return f"The head of {name} was kept, since the classes are the same."
    common = [each for each in class_names if each not in new]
    dropped = before - len({place for place in places if place is not None})
    return (
        f"Of the head of {name} the rows of {len(common):,} common classes were kept ({_some(common)}); new: "
        f"{len(new):,}{f' ({_some(new)})' if new else ''}, dropped: {dropped:,}."
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
