"""The card of trained weights: what one must know to use them, and how they came to be."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from diffusion_lesson.learning import results
from diffusion_lesson.learning.config import current
from diffusion_lesson.learning.results import Result
from diffusion_lesson.process.prediction import Predicts
from diffusion_lesson.process.schedule import Schedule, named

_KINDS: dict[str, Any] = {
    "name": str, "network": str, "config": dict, "schedule": dict | None, "size": int, "levels": int, "data": str,
    "recipe": dict, "measured": tuple, "sha256": str,
}  # fmt: skip


@dataclass(frozen=True)
class Card:
    """What one must know to use trained weights, and how they came to be."""

    name: str
    network: str  # a key of weights.DENOISERS or weights.CLASSIFIERS
    config: dict[str, Any]  # its arguments
    schedule: dict[str, Any] | None  # the arguments of schedule.named; None for a classifier
    predicts: Predicts | None  # "eps", "v" or "x0"; None for a classifier
    size: int  # height and width of the pictures
    levels: int  # of grey, for to_uint8
    data: str  # what it was trained on
    recipe: dict[str, Any] = field(default_factory=dict)  # the fields of the TrainConfig, and what else is known
    measured: tuple[Result, ...] = ()
    sha256: str = ""  # of the .safetensors file
    classes: tuple[str, ...] = ()  # the names of labels 0, 1, …; () where they are not known or not learned

    def __post_init__(self) -> None:
        """Refuse what nobody could use, and names that are not one for each class."""
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name}: expected {kind}, got {getattr(self, name)!r}")
        if self.predicts not in (None, *get_args(Predicts)):
            raise ValueError(f"predicts: expected one of {', '.join(get_args(Predicts))}, got {self.predicts!r}")
        if (self.schedule is None) != (self.predicts is None):
            raise ValueError(
                "schedule, predicts: expected both, or neither for a classifier, "
                f"got {self.schedule!r} and {self.predicts!r}"
            )
        if self.size < 1 or self.levels not in range(2, 257):
            raise ValueError(f"size, levels: expected 1 or more, and 2..256, got {self.size} and {self.levels}")
        if wrong := [record for record in self.measured if not isinstance(record, Result)]:
            raise ValueError(f"measured: expected records (results.Result), got {wrong[0]!r}")
        named, count = self.classes, self.config.get("classes", 0)
        texts = isinstance(named, tuple) and all(isinstance(name, str) for name in named)
        if not texts or len(set(named)) != len(named) or len(named) not in (0, count):
            raise ValueError(f"classes: expected none or {count} names, no two alike, got {named!r}")

    def label(self, text: str) -> int:
        """The class of that name, or else of that number. ValueError that names `label` where there is none."""
        count = self.config.get("classes", 0)
        if not count:
            raise ValueError(f"label: {self.name} was trained without classes and takes none, got {text}")
        if text in self.classes:
            return self.classes.index(text)
        if text.isdecimal() and int(text) < count:
            return int(text)
        names = ", ".join(self.classes[:20]) + (", …" if len(self.classes) > 20 else "")
        raise ValueError(f"label: expected 0..{count - 1}{f' or one of {names}' if names else ''}, got {text}")

    def make_schedule(self) -> Schedule:
        """The schedule it was trained with. ValueError where there is none, or none with these arguments."""
        if self.schedule is None:
            raise ValueError(f"schedule: expected that of a denoiser, got none; {self.name} is a {self.network}")
        try:
            return named(**self.schedule)
        except Exception as error:  # whatever arithmetic makes of arguments that come from a file
            raise ValueError(f"schedule: {error}") from error

    def to_json(self) -> str:
        """The text of its file. An error of `json` where that has no form for what the card holds."""
        fields = asdict(self) | {"measured": [record.as_json() for record in self.measured]}
        return json.dumps(fields, indent=1, ensure_ascii=False)


def from_json(text: str) -> Card:
    """The card that `to_json` wrote. ValueError where the text is none."""
    try:
        fields = json.loads(text)
        if isinstance(fields.get("recipe"), dict):
            fields["recipe"] = current(fields["recipe"])
        fields["measured"] = results.read(fields.get("measured", []))
        return Card(**fields | {"classes": tuple(fields.get("classes", ()))})  # JSON knows no tuples
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error
