"""dogs.md: what bench.dogs measured, as tables, and what one must know to read them.

python -m bench.dogs_table       writes it anew
"""

import textwrap
from statistics import mean
from typing import Any

from bench import dog_judge, dogs
from diffusion_lesson.learning import dreambooth


def _shares(rows: list[dict[str, Any]], name: str, form: str = ".0%") -> str:
    values = [row[name] for row in rows]
    low, high = format(min(values), form), format(max(values), form)
    return format(mean(values), form) + ("" if low == high else f" ({low} to {high})")


def table(results: dict[str, Any]) -> str:
    """Each dog's runs, as Markdown: mean (lowest to highest)."""
    head = (
        "| dog | learned from | runs | read as a dog | as this dog | real photographs | learned views | before |"
    )
    lines = [f"{head} nearest |", "|" + "---|" * 9]
    for dog in dog_judge.DOGS:
        done = [seed for seed in dogs.SEEDS if f"{dog} {seed}" in results]
        if done:
            runs = [results[f"{dog} {seed}"] for seed in done]
            before = [results["before"][str(seed)][dog] for seed in done]
            cells = [
                dog, f"{before[0]['photographs']} photographs", str(len(done)), _shares(runs, "dog"),
                _shares(runs, "this dog"), _shares(before, "real"), _shares(runs, "views"),
                _shares(before, "this dog"), _shares(runs, "to the learned", ".2f"),
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _point(note: str) -> str:
    return textwrap.fill(" ".join(note.split()), 115, initial_indent="- ", subsequent_indent="  ")


def report(results: dict[str, Any]) -> str:
    """dogs.md: the tables, and what one must know to read them."""
    runs = [f"{dog} {seed}" for seed in dogs.SEEDS for dog in dog_judge.DOGS]
    done = [results[run] for run in runs if run in results]
    splits = [results["before"][str(seed)][dog] for seed in dogs.SEEDS for dog in dog_judge.DOGS]
    photographs = sum(row["photographs"] for row in splits)
    real, last, as_dog = (
        sum(row[name] * row["photographs"] for row in splits) / photographs
        for name in ("real", "real by the last features", "real read as dog")
    )
    half = [run for run in runs if results.get(run, {}).get("computed in") == "bf16"]
    took = [
        f"{_shares(rows, 'cpu seconds', '.0f')} CPU-seconds in {name}"
        for key, name in (("fp32", "single precision"), ("bf16", "bfloat16"))
        if (rows := [row for row in done if row["computed in"] == key])
    ]
    fresh = [results[run] for run in runs if run in results and run != " ".join(map(str, dogs.TRIED))]

    copies, nearer = (_shares(done, name) for name in ("copies", "nearer than any left out"))
    a_dog, this_dog = (_shares(fresh, name) for name in ("dog", "this dog"))
    kept = sum(row["old kept"] for row in done)
    walls = ""
    if alike := results.get("dog 0"):  # two dogs that sat before orange walls
        count = alike["given to"][dog_judge.DOGS.index("dog6")]
        walls = f"Of dog's {dogs.NEW} pictures, seed 0, {count} are given to dog6: both sat before orange walls. "
    config = dogs.teach(0, "fp32")
    guidance, steps, eta = (dogs.DRAW[name] for name in ("guidance_scale", "steps", "eta"))
    credit = "; ".join(f"{dog} by {who}" for dog, who in dreambooth.PHOTOGRAPHERS.items())
    notes = [
        f"""A run: one dog of the DreamBooth data set. Two of its photographs are left out; seed s leaves out 2s
        and 2s + 1, counted round. A copy of the network `cifar10` learns the others, in {config.steps} steps of
        {config.batch_size} at a rate of {config.learning_rate:g}. Each photograph is seen whole and in the nine
        crops that `classifier-cifar10` takes for a dog with most certainty, and mirrored. {dogs.NEW} pictures are
        drawn of the new word (guidance {guidance:g}, away from what the network as it ships says without a label;
        {steps} steps, η = {eta:g}), from the same noise in every run.""",
        f"Read as a dog: by `classifier-cifar10`, which reads {as_dog:.0%} of the learned photographs so.",
        f"""As this dog: whose photograph is the nearest, among the 14 that are left out, two of each dog? Each
        of these is seen whole, in nine crops of two larger copies, and mirrored. Near is measured by what
        the classifier's first {dog_judge.LAYER} parts see in the middle of a picture, mean and deviation, by
        angle. Chance is 14 %.""",
        f"""But that looks at the place as much as at the dog. {walls}`dogs.json` has whom each run's pictures were
        given to.""",
        f"""Real photographs: how often the same test names the right dog when it is shown the photographs that
        were learned. It is {real:.0%} of {photographs} (seven dogs, three splits). Which layer looks, and at
        which crops, was chosen on these, among more than a thousand ways, so this is kind. By the
        classifier's last 128 features it is {last:.0%}: they say that it is a dog, and hardly which.""",
        """Learned views: the same of all that was learned, crops and mirrors too. In a crop the dog is larger, and
        often beside the middle, where the test looks.""",
        "Before: the same test of pictures that the network draws of dogs in general.",
        f"""Nearest: from a drawn picture to the nearest view that was learned, root mean square a pixel,
        median. Below {dog_judge.COPY:g} it would be a copy: {copies} are. But {nearer} are nearer to what was
        learned than any photograph is that was left out.""",
        f"""The ten old words: the copy answers for the new word alone, and the network as it ships for all others.
        What it says of them, and without a label, is to the bit what it said: {kept} of {len(done)} runs.""",
        f"""The settings were chosen on {dogs.TRIED[0]}, seed {dogs.TRIED[1]}. Over the {len(fresh)} other runs:
        {a_dog} read as a dog, {this_dog} as this dog.""",
        f"""Learning took {" and ".join(took)}, beside other work on the same two cores.""",
        f"""The photographs: {credit}. DreamBooth data set (github.com/google/dreambooth), CC BY 4.0. dog5's 03
        is its 02, mirrored.""",
    ]
    if half:
        notes.append(
            f"Computed in bfloat16 where that is safe (autocast): {', '.join(half)}; the others in single."
        )
    missing = [run for run in runs if run not in results]
    if missing:
        notes.append(f"Not run so far: {', '.join(missing)}.")
    points = "\n".join(_point(note) for note in notes)
    return (
        "# New pictures of a dog from three or four photographs\n\nWritten by `python -m bench.dogs_table`; the "
        f"numbers are in `dogs.json`.\n\n{table(results)}\n\n{points}\n"
    )


if __name__ == "__main__":
    dogs.RESULTS.with_suffix(".md").write_text(report(dogs.known()), "utf-8")
