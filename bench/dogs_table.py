"""dogs.md: what bench.dogs measured, as tables, and what one must know to read them.

python -m bench.dogs_table       writes it anew
"""

import textwrap
from statistics import mean
from typing import Any

from bench import dogs
from diffusion_lesson.learning import dreambooth


def _shares(rows: list[dict[str, Any]], name: str, form: str = ".0%") -> str:
    values = [row[name] for row in rows]
    low, high = format(min(values), form), format(max(values), form)
    return format(mean(values), form) + ("" if low == high else f" ({low} to {high})")


def table(results: dict[str, Any]) -> str:
    """Each dog's runs, as Markdown: mean (lowest to highest)."""
    columns = [
        "dog",
        "learned from",
        "runs",
        "read as a dog",
        "as this dog",
        "real photographs",
        "before",
        "nearest",
    ]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for dog in dogs.DOGS:
        done = [seed for seed in dogs.SEEDS if f"{dog} {seed}" in results]
        if done:
            runs = [results[f"{dog} {seed}"] for seed in done]
            before = [results["before"][str(seed)][dog] for seed in done]
            cells = [
                dog, f"{before[0]['photographs']} photographs", str(len(done)), _shares(runs, "dog"),
                _shares(runs, "this dog"), _shares(before, "real"), _shares(before, "this dog"),
                _shares(runs, "to the learned", ".2f"),
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def old_table(results: dict[str, Any]) -> str:
    """What became of the ten old words, as Markdown."""
    before = results.get("old before")
    if before is None:
        return "Not drawn so far."
    lines = ["| dog, seed | drawn as told | FD | |", "|---|---|---|---|"]
    lines.append(f"| before | {before['old']:.0%} | {before['old fd']:.1f} | |")
    for run in (f"{dog} {seed}" for seed in dogs.SEEDS for dog in dogs.DOGS):
        if after := results.get(f"{run} old"):
            rise = after["old fd"] / before["old fd"] - 1
            lines.append(f"| {run} | {after['old']:.0%} | {after['old fd']:.1f} | {rise:+.0%} |")
    return "\n".join(lines)


def _point(note: str) -> str:
    return textwrap.fill(" ".join(note.split()), 115, initial_indent="- ", subsequent_indent="  ")


def report(results: dict[str, Any]) -> str:
    """dogs.md: the tables, and what one must know to read them."""
    runs = [f"{dog} {seed}" for seed in dogs.SEEDS for dog in dogs.DOGS]
    done = [results[run] for run in runs if run in results]
    splits = [results["before"][str(seed)][dog] for seed in dogs.SEEDS for dog in dogs.DOGS]
    count = sum(row["photographs"] for row in splits)
    real, last, as_dog = (
        sum(row[name] * row["photographs"] for row in splits) / count
        for name in ("real", "real by the last features", "real read as dog")
    )
    half = [run for run in runs if results.get(run, {}).get("computed in") == "bf16"]
    seconds = [row["cpu seconds"] for row in done if row["computed in"] == "fp32"]
    fresh = [results[run] for run in runs if run in results and run != " ".join(map(str, dogs.TRIED))]

    copies, nearer = (_shares(done, name) for name in ("copies", "nearer than any left out"))
    a_dog, this_dog = (_shares(fresh, name) for name in ("dog", "this dog"))
    guidance, steps = dogs.DRAW_NEW["guidance_scale"], dogs.DRAW_NEW["steps"]
    took = _shares([{"seconds": value} for value in seconds], "seconds", ".0f") if seconds else "–"
    credit = "; ".join(f"{dog} by {who}" for dog, who in dreambooth.PHOTOGRAPHERS.items())
    notes = [
        f"""A run: one dog of the DreamBooth data set. Two of its photographs are left out; seed s leaves out 2s
        and 2s + 1, counted round. The network `cifar10` learns the others, in 150 steps of 16. {dogs.NEW}
        pictures are drawn of the new word (guidance {guidance:g}, {steps} steps, η = 1), from the same
        noise in every run.""",
        f"Read as a dog: by `classifier-cifar10`, which reads {as_dog:.0%} of the learned photographs so.",
        f"""As this dog: whose photograph is the nearest, among the 14 that are left out, two of each dog? Each
        of these is seen whole, in nine crops of two larger copies, and mirrored. Near is measured by what
        the classifier's first {dogs.LAYER} parts see in the middle of a picture, mean and deviation, by
        angle. Chance is 14 %.""",
        f"""Real photographs: how often the same test names the right dog when it is shown the photographs that
        were learned. It is {real:.0%} of {count} (seven dogs, three splits). Which layer looks, and at
        which crops, was chosen on these, among more than a thousand ways, so this is kind. By the
        classifier's last 128 features it is {last:.0%}: they say that it is a dog, and hardly which.""",
        "Before: the same test of pictures that the network draws of dogs in general.",
        f"""Nearest: from a drawn picture to the nearest view that was learned, root mean square a pixel,
        median. Below {dogs.COPY:g} it would be a copy: {copies} are. But {nearer} are nearer to what was
        learned than any photograph is that was left out.""",
        f"""FD: {dogs.OLD} pictures of the ten old words, as many of each, from CIFAR-10's test pictures, before
        and after from the same noise (guidance 1.5, 10 steps, η = 0, computed in bfloat16), on 128
        features. With so few pictures only the rise means something.""",
        f"""The settings were chosen on {dogs.TRIED[0]}, seed {dogs.TRIED[1]}. Over the {len(fresh)} other runs:
        {a_dog} read as a dog, {this_dog} as this dog.""",
        f"""Learning took {took} CPU-seconds in single precision. The {dogs.OWN} pictures to rehearse are drawn
        once for all runs.""",
        f"""The photographs: {credit}. DreamBooth data set (github.com/google/dreambooth), CC BY 4.0. dog5's 03
        is its 02, mirrored.""",
    ]
    if half:
        notes.append(
            f"Computed in bfloat16 where that is safe (autocast): {', '.join(half)}; the others in single."
        )
    missing = [run for run in runs if run not in results]
    missing += [f"{run} old" for run in runs if f"{run} old" not in results]
    if missing:
        notes.append(f"Not run so far: {', '.join(missing)}.")
    points = "\n".join(_point(note) for note in notes)
    return (
        "# New pictures of a dog from three or four photographs\n\nWritten by `python -m bench.dogs_table`; the "
        f"numbers are in `dogs.json`.\n\n{table(results)}\n\nThe old words:\n\n{old_table(results)}\n\n{points}\n"
    )


if __name__ == "__main__":
    dogs.RESULTS.with_suffix(".md").write_text(report(dogs.known()), "utf-8")
