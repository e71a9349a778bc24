"""What was measured, as records that a program can read: recipes, cards and bench/ hold the same."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from statistics import mean
from typing import Any

WORDS = {
    "frechet_distance": "Fréchet distance", "floor": "floor of the Fréchet distance",
    "bits_per_dim": "bits per dimension", "accuracy": "accuracy",
}  # fmt: skip
_KINDS: dict[str, Any] = {
    "metric": str, "values": tuple, "n": int | None, "sampler": str | None, "steps": int | None,
    "guidance_scale": float | int | None, "seeds": tuple, "how": str, "parts": dict,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Result:
    """A metric and what came out: `str` of it is the sentence that is printed."""

    metric: str  # a key of WORDS, or words of your own
    values: tuple[float, ...]  # one for each seed
    n: int | None = None  # pictures that were scored
    sampler: str | None = None  # what drew them
    steps: int | None = None  # of the sampler
    guidance_scale: float | None = None  # where labels were told, and 1 was not taken for granted
    seeds: tuple[int, ...] = ()  # of the trainings, where there were several
    how: str = ""  # what else one must know
    parts: dict[str, float] = field(default_factory=dict)  # what the value is made of, and its error

    def __post_init__(self) -> None:
        """Refuse what is no record: it may come from a file."""
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name}: expected {kind}, got {getattr(self, name)!r}")
        for name, numbers in (("values", self.values), ("seeds", self.seeds), ("parts", self.parts.values())):
            if wrong := [number for number in numbers if not isinstance(number, int | float)]:
                raise ValueError(f"{name}: expected numbers, got {wrong[0]!r}")

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return mean(self.values)

    @property
    def calls(self) -> int | None:
        """How often the network is asked for a picture: twice a step where it is guided."""
        return self.steps and self.steps * (1 if self.guidance_scale in (None, 0, 1) else 2)

    def __str__(self) -> str:
        """In one sentence, with its n."""
        numbers = ", ".join(f"{value:g}" for value in self.values)
        drawn = [self.sampler or "", f"{self.steps} steps" if self.steps else ""]
        drawn.append(f"guidance {self.guidance_scale:g}" if self.guidance_scale is not None else "")
        notes = [
            f"n = {self.n:,}" if self.n is not None else "", ", ".join(filter(None, drawn)), self.how,
            f"seed{'s' * (len(self.seeds) > 1)} {', '.join(map(str, self.seeds))}" if self.seeds else "",
            ", ".join(f"{name} {value:g}" for name, value in self.parts.items()),
        ]  # fmt: skip
        words = "; ".join(filter(None, notes))
        return f"{WORDS.get(self.metric, self.metric)} {numbers}".strip() + (f" ({words})" if words else "")

    def as_json(self) -> dict[str, Any]:
        """What `read` reads again: the fields that say anything."""
        return {name: value for name, value in asdict(self).items() if value not in (None, (), "", {})}


def find(results: Iterable[Result], metric: str, **fields: Any) -> Result:
    """The one record of this metric with these fields. ValueError where there is none, or more than one."""
    found = [r for r in results if r.metric == metric and all(getattr(r, k) == v for k, v in fields.items())]
    if len(found) != 1:
        raise ValueError(f"metric: expected one record of {metric!r} with {fields}, got {len(found)}")
    return found[0]


def read(measured: Any) -> tuple[Result, ...]:
    """Records from JSON: a list of them, or what cards of version 0.1 hold, a mapping from words to numbers.

    ValueError where it is neither.
    """
    if isinstance(measured, dict):
        return tuple(result for words, value in measured.items() for result in _earlier(words, value))
    if not isinstance(measured, list) or not all(isinstance(fields, dict) for fields in measured):
        raise ValueError(f"measured: expected a list of records, got {measured!r}")
    tupled: list[dict[str, Any]] = [  # JSON knows no tuples
        {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
        for fields in measured
    ]
    try:
        return tuple(Result(**fields) for fields in tupled)
    except (TypeError, ValueError) as error:
        raise ValueError(f"measured: {error}") from error


def _earlier(words: str, value: Any) -> list[Result]:
    """The words become the metric, since nothing says what else they mean."""
    if isinstance(value, dict) and isinstance(value.get("total"), int | float):
        rest = {part: number for part, number in value.items() if part != "total"}
        if all(isinstance(number, int | float) for number in rest.values()):
            return [Result(metric=words, values=(value["total"],), parts=rest)]
    if isinstance(value, dict):
        return [result for part, inner in value.items() for result in _earlier(f"{words}, {part}", inner)]
    numbers = tuple(value) if isinstance(value, list) else (value,)
    if all(isinstance(number, int | float) for number in numbers):
        return [Result(metric=words, values=numbers)]
    return [Result(metric=words, values=(), how=str(value))]
