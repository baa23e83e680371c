"""What a map explains: a number that the network makes of an image."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import PurePath
from typing import Self

import torch
from torch import Tensor, nn

from features.datasets import open_uri
from features.engine.backward import back
from features.errors import FeatureError
from features.networks.zoo import Model

PREDICTED, VERSUS = "predicted", "-vs-"


@dataclass(frozen=True)
class ClassTarget:
    """The logit of a class, or by how much it exceeds another's.

    index: the class, None for the one that is predicted. against: the other class, None for no other.
    """

    index: int | None = None
    against: int | None = None


@dataclass(frozen=True, eq=False)
class StageTarget:
    """What a stage makes of the image, whatever the classifier does with it.

    The Euclidean length of the stage's pooled features (mean over space), or, where `other` is given, their cosine
    with the features of that picture: what makes the two alike. other: (C, H, W) uint8 pixels; other_name: what to
    call them.
    """

    stage: str
    other: Tensor | None = None
    other_name: str = "another image"


Target = ClassTarget | StageTarget


@dataclass(frozen=True, eq=False)
class Score:
    """N targets made definite: one number an image, as a function of one stage's pooled features.

    stage: whose features (N, D). names: (N,) what is explained. class_ids, against_ids: (N,) int64, -1 for none.
    """

    stage: str
    names: tuple[str, ...]
    class_ids: Tensor
    against_ids: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """(N, D) float32 -> (N,) scores."""
        raise NotImplementedError

    def gradient(self, features: Tensor) -> Tensor:
        """The scores' gradient with respect to the features: (N, D)."""
        raise NotImplementedError

    def take(self, rows: Sequence[int]) -> Self:
        """The scores of some of the images, which may be repeated."""
        taken = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in taken.items():
            if isinstance(value, Tensor):
                taken[name] = value[list(rows)]
        return replace(self, **taken | {"names": tuple(self.names[row] for row in rows)})


@dataclass(frozen=True, eq=False)
class LogitScore(Score):
    """A logit, or the difference of two: vectors (N, D) and biases (N,) of a linear function."""

    vectors: Tensor
    biases: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return (features * self.vectors).sum(1) + self.biases

    def gradient(self, features: Tensor) -> Tensor:
        return self.vectors


@dataclass(frozen=True, eq=False)
class HeadScore(Score):
    """A logit, or the difference of two, of a head with several layers: its gradient depends on the features."""

    classifier: nn.Module

    def __call__(self, features: Tensor) -> Tensor:
        logits = self.classifier(features)  # (N, K)
        if logits.shape[1] == 1:  # one logit speaks for the second class, and as much against the first
            logits = torch.cat([-logits, logits], 1)
        # A score of one image serves any number of features.
        class_ids, against_ids = (ids.expand(len(logits)) for ids in (self.class_ids, self.against_ids))  # (N,)
        score = logits.gather(1, class_ids[:, None])[:, 0]
        against = logits.gather(1, against_ids.clamp_min(0)[:, None])[:, 0]
        return score - torch.where(against_ids >= 0, against, torch.zeros_like(against))

    def gradient(self, features: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            start = features.detach().clone().requires_grad_()  # a clone, since they may be made in inference mode
            head = HeadScore(self.stage, self.names, self.class_ids.clone(), self.against_ids.clone(), self.classifier)
            return torch.autograd.grad(head(start).sum(), start)[0]


@dataclass(frozen=True, eq=False)
class LengthScore(Score):
    """The length of the features; its gradient is 0 where that is 0."""

    def __call__(self, features: Tensor) -> Tensor:
        return features.norm(dim=1)

    def gradient(self, features: Tensor) -> Tensor:
        return _unit(features)


@dataclass(frozen=True, eq=False)
class CosineScore(Score):
    """The cosine with other features, directions (N, D) of length 1; it and its gradient are 0 where there is none."""

    directions: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return (_unit(features) * self.directions).sum(1)

    def gradient(self, features: Tensor) -> Tensor:
        across = self.directions - self(features)[:, None] * _unit(features)
        length = features.norm(dim=1, keepdim=True)
        return torch.where(length > 0, across / length, torch.zeros_like(across))


def is_of_class(score: Score) -> bool:
    """Whether it is of what the head sees, and not of a stage's means over space."""
    return isinstance(score, LogitScore | HeadScore)


def _unit(features: Tensor) -> Tensor:
    return nn.functional.normalize(features, dim=1, eps=torch.finfo(features.dtype).tiny)


def logit_score(
    model: Model, stage: str, classifier: nn.Module, logits: Tensor, targets: Sequence[ClassTarget]
) -> Score:
    """Class targets made definite. classifier: what made the logits (N, K) of the features of `stage`.

    Raises FeatureError for classes that the network does not have.
    """
    n_classes = logits.shape[1]
    given = [index for target in targets for index in (target.index, target.against) if index is not None]
    if any(not 0 <= index < n_classes for index in given):
        raise FeatureError(f"Classes run from 0 to {n_classes - 1}, but got {sorted(set(given))}.")
    predicted = logits.argmax(1).tolist()
    chosen = [likeliest if target.index is None else target.index for target, likeliest in zip(targets, predicted)]  # noqa: B905
    others = [-1 if target.against is None else target.against for target in targets]
    class_ids, against_ids = (torch.tensor(ids, dtype=torch.int64, device=logits.device) for ids in (chosen, others))
    has_other = (against_ids >= 0)[:, None]  # (N, 1)
    if not isinstance(classifier, nn.Linear):
        return HeadScore(
            stage=stage,
            names=tuple(_name(model, index, other) for index, other in zip(chosen, others, strict=True)),
            class_ids=class_ids,
            against_ids=against_ids,
            classifier=classifier,
        )
    weight, bias = classifier.weight.float(), _bias(classifier)  # (K, D) and (K,)
    if len(weight) < n_classes:  # one logit speaks for the second class, and as much against the first
        weight, bias = torch.cat([-weight, weight]), torch.cat([-bias, bias])
    return LogitScore(
        stage=stage,
        names=tuple(_name(model, index, other) for index, other in zip(chosen, others, strict=True)),
        class_ids=class_ids,
        against_ids=against_ids,
        vectors=weight[class_ids] - has_other * weight[against_ids],
        biases=bias[class_ids] - has_other[:, 0] * bias[against_ids],
    )


def class_gradients(classifier: nn.Module, features: Tensor) -> Tensor:
    """The gradient of every class's logit with respect to the features (N, D): (N, K, D), or (1, K, D) where it is the
    same for all, of one linear layer. Of one logit, that of the first class, which is its negative, and its own.
    """
    if isinstance(classifier, nn.Linear):
        rows = classifier.weight.float()[None]  # (1, K, D)
    else:
        slopes = torch.eye(classifier(features[:1]).shape[1], device=features.device)  # (K, K)
        rows = torch.stack([back(classifier, features, slope.expand(len(features), -1)) for slope in slopes], 1)
    return rows if rows.shape[1] > 1 else torch.cat([-rows, rows], 1)


def _bias(classifier: nn.Linear) -> Tensor:
    if classifier.bias is None:
        return classifier.weight.new_zeros(classifier.out_features, dtype=torch.float32)
    return classifier.bias.float()


def _name(model: Model, index: int, other: int) -> str:
    name = model.spec.class_name(index)
    return name if other < 0 else f"{name} against {model.spec.class_name(other)}"


def parse(text: str, model: Model) -> Target:
    """A target as it is written on the command line.

    'predicted', a class (its name or number), 'A-vs-B', 'norm:STAGE', or 'alike:STAGE:FILE' for the cosine with
    another image. Raises FeatureError if it is none of these, ImageError if the file is no image.
    """
    kind, _, rest = text.partition(":")
    if kind == "norm" and rest:
        return StageTarget(_stage(rest, model))
    if kind == "alike" and ":" in rest:
        stage, _, file = rest.partition(":")
        pixels = model.spec.preprocessing.framed(open_uri(file))
        return StageTarget(_stage(stage, model), pixels, PurePath(file).name)
    model.need_classifier()
    if (whole := _class_id(text, model)) != ():
        return ClassTarget(*whole)
    for place in range(len(text)):  # names may hold '-vs-' themselves
        if text.startswith(VERSUS, place):
            sides = _class_id(text[:place], model), _class_id(text[place + len(VERSUS) :], model)
            if sides[0] != () and sides[1] not in ((), (None,)):
                if sides[0] == sides[1]:
                    raise FeatureError(f"The target {text!r} sets a class against itself. Name two different ones.")
                return ClassTarget(*sides[0], *sides[1])
    raise FeatureError(
        f"The target is {text!r}. Wanted 'predicted', a class by its name or its number from 0 to "
        f"{len(model.spec.classes) - 1}, 'A-vs-B', 'norm:STAGE' or 'alike:STAGE:FILE'."
    )


def _stage(name: str, model: Model) -> str:
    if name not in model.network.stage_names:
        raise FeatureError(f"There is no stage {name}. This network has {', '.join(model.network.stage_names)}.")
    return name


def _class_id(text: str, model: Model) -> tuple[int | None, ...]:
    """(index,) of a class that is named or numbered, (None,) for the predicted one, () if it is neither."""
    if text == PREDICTED:
        return (None,)
    n_classes = len(model.spec.classes)
    named = [index for index in range(n_classes) if model.spec.class_name(index).casefold() == text.casefold()]
    if len(named) == 1:
        return (named[0],)
    if named:
        raise FeatureError(f"{len(named)} classes are called {text}: {', '.join(map(str, named))}. Give a number.")
    return (int(text),) if text.isdecimal() and int(text) < n_classes else ()
