"""The tables of README.md, from the results alone."""

import re
from pathlib import Path
from statistics import mean
from typing import Any

NAMES = {
    "ours-labels": "`mnist-3min`",
    "course-labels": "diffusers UNet2DModel, course unit 2",
    "ours": "`mnist-3min` without labels",
    "course": "diffusers UNet2DModel, course unit 1",
    "ddpm-pytorch": "denoising-diffusion-pytorch",
    "ours-labels-eps": "`mnist-3min-eps`",
    "ours-labels-60s": "`mnist-60s`, patches",
}
CHOSEN_ON = {"ours-labels-60s": 1}  # the seed on which the sampler in `best` was chosen; 0 for the others
BEGIN, END = "<!-- written by bench/table.py: begin -->", "<!-- end -->"
Results = dict[str, Any]


def rows(results: Results, name: str) -> list[dict[str, Any]]:
    """The rows of one contender, one for each seed that ran."""
    found = sorted(key for key in results if key.startswith(f"row/{name}/"))
    return [results[key] for key in found]


def distances(results: Results, name: str, n: str, sampler: str | None = None) -> list[float]:
    """One contender's distances at n pictures, seed by seed: of its rows, or of another sampler."""
    out = []
    for key in sorted(key for key in results if key.startswith(f"row/{name}/")):
        entry = results[key]
        if sampler not in (None, entry["sampler"]):
            entry = results.get(key.replace("row", "samplers"), {}).get(sampler, {})
        found = entry.get("distance", {})
        out += [found[n]] if n in found else []
    return out


def number(value: float) -> str:
    """Three digits, no exponent; thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: list[float]) -> str:
    """The mean, and the lowest and highest where there are more than one."""
    middle = number(mean(values))
    return f"{middle} ({number(min(values))}–{number(max(values))})" if len(values) > 1 else middle


def floors(results: Results) -> list[tuple[str, str, dict[str, Any]]]:
    """(whether rows with labels compare with it, its name in a table, its numbers by n) of each floor."""
    found = results.get("floors", {})
    asked = {"classes in turn": "yes", "at random": "no"}
    return [
        (asked[kind], f"floor: real training pictures, {kind}", found[kind]) for kind in asked if kind in found
    ]


def quality(results: Results) -> list[str]:
    """One line for each contender: distances and bits."""
    out = [
        "| | labels | seeds | CPU-s | steps | FD, n = 200 | FD, n = 500 | bits/dim |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for labels, words, found in floors(results):
        at = [
            f"{number(found[n]['mean'])} ± {number(found[n]['deviation'])}" for n in ("200", "500") if n in found
        ]
        out.append(f"| {words} | {labels} | | | | {' | '.join(at)} | |")
    for name, title in NAMES.items():
        seeds = rows(results, name)
        if not seeds:
            continue
        each = [
            spread(values) if values else "–" for n in ("200", "500") for values in [distances(results, name, n)]
        ]
        bits = results.get(f"bits/{name}/0")
        coded = f"{bits['total']:.2f} ± {bits['error']:.2f}" if bits else "–"
        seconds, steps = mean(row["seconds"] for row in seeds), mean(row["steps"] for row in seeds)
        yes = "yes" if seeds[0]["labelled"] else "no"
        cells = [title, yes, str(len(seeds)), f"{seconds:.0f}", f"{steps:,.0f}", *each, coded]
        out.append(f"| {' | '.join(cells)} |")
    return out


def best(results: Results) -> list[str]:
    """Our rows once more, by the sampler that a reader would choose; apart from the seed that it was chosen on."""
    out = ["| | sampler | seeds | FD, n = 5000 | on the seed of the choice |", "|---|---|---|---|---|"]
    for _, words, found in floors(results):
        if "5000" in found:
            middle, one = (number(found["5000"][key]) for key in ("mean", "deviation"))
            out.append(f"| {words} | | | {middle} ± {one} | |")
    for name, title in NAMES.items():
        seeds = {key: value for key, value in results.items() if key.startswith(f"many/{name}/")}
        if seeds:
            far = {int(key.split("/")[2]): [*entry["distance"].values()][-1] for key, entry in seeds.items()}
            chosen = far.pop(CHOSEN_ON.get(name, 0), None)
            others = spread(list(far.values())) if far else "–"
            cells = [title, next(iter(seeds.values()))["sampler"], str(len(far)), others]
            out.append(f"| {' | '.join(cells)} | {'–' if chosen is None else number(chosen)} |")
    return out


def samplers(results: Results) -> list[str]:
    """Our rows by sampler."""
    names = [name for name in NAMES if f"samplers/{name}/0" in results]
    kinds = list(dict.fromkeys(kind for name in names for kind in results[f"samplers/{name}/0"]))
    kinds = [results[f"row/{names[0]}/0"]["sampler"], *kinds] if names else []
    out = [f"| FD, n = 500 | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for name in names:
        found = [
            distances({k: v for k, v in results.items() if k.endswith("/0")}, name, "500", kind) for kind in kinds
        ]
        out.append(f"| {NAMES[name]} | {' | '.join(spread(values) if values else '–' for values in found)} |")
    return out


def costs(results: Results) -> list[str]:
    """One line for each contender: size, speed, share of the peak."""
    peaks = [row["peak"] for name in NAMES for row in rows(results, name)]
    out = [
        "| | parameters | MFLOP a call | pictures/CPU-s, training | share of peak | pictures/CPU-s, drawing "
        "| share of peak | time outside the network |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, title in NAMES.items():
        found = rows(results, name)
        if not found or name == "ours-labels-60s":
            continue
        trains = max(row["batch"] / row["step_best"] for row in found)
        draws = max(1 / row["draw_best"] for row in found)
        one = found[0]
        cells = [
            title, f"{one['parameters'] / 1e6:.2f} M", f"{one['mflop_call']:,.0f}", number(trains),
            f"{trains * one['mflop_step'] / 1e3 / max(peaks):.0%}", number(draws),
            f"{draws * 20 * one['mflop_call'] / 1e3 / max(peaks):.0%}",
            f"{min(row['outside'] for row in found):.1%}",
        ]  # fmt: skip
        out.append(f"| {' | '.join(cells)} |")
    if peaks:
        out += ["", f"Peak: {max(peaks):.0f} GFLOP/s on one thread, the fastest fp32 3×3 convolution found."]
    return out


def growth(results: Results) -> list[str]:
    """Exponents of cost."""
    out = ["| | sizes | CPU-ms | exponent | over the last two |", "|---|---|---|---|---|"]
    for name, entry in results.get("scaling", {}).items():
        sizes = ", ".join(map(str, entry["sizes"]))
        times = ", ".join(number(1000 * s) for s in entry["seconds"])
        out.append(f"| {name} | {sizes} | {times} | {entry['slope']:.2f} | {entry['slope_end']:.2f} |")
    return out


def two_threads(results: Results) -> list[str]:
    """What two threads do, by the wall clock."""
    two = results.get("two-threads")
    if not two:
        return []
    return [
        f"Two threads, wall clock, best of 12 bursts: {two['training_pictures']:,.0f} pictures/s in training "
        f"({two['training_share']:.0%} of the {two['peak']:.0f} GFLOP/s peak), 64 pictures drawn with 20 calls in "
        f"{two['drawing_64_seconds']:.2f} s ({two['drawing_share']:.0%} of the peak).",
    ]


def bound(results: Results) -> list[str]:
    """The bound, part by part."""
    out = [
        "| bits/dim | L_T | Σ L_(t−1) | L_0 | total | test pictures | steps visited |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, title in NAMES.items():
        bits = results.get(f"bits/{name}/0")
        if bits:
            parts = [f"{bits[key]:.4f}" for key in ("prior", "denoising", "reconstruction")]
            total = f"{bits['total']:.3f} ± {bits['error']:.3f}"
            chosen = bits.get("pictures", "first")  # older entries took them in the file's order
            shown = f"{bits['n']} {chosen}" if chosen == "at random" else f"the {chosen} {bits['n']}"
            out.append(f"| {title} | {' | '.join(parts)} | {total} | {shown} | {bits['steps']} of 1000 |")
    return out


PLOTS = {
    "quality.svg": "Fréchet distance against CPU-seconds of training",
    "pictures.svg": "The first twenty pictures of each",
    "growth.svg": "Cost against batch, side, width, steps and T",
}


def plots(folder: Path) -> list[str]:
    """The plots that are there."""
    return [f"![{title}]({name})" for name, title in PLOTS.items() if (folder / name).exists()]


def write(results: Results, file: Path, jobs: list[str]) -> None:
    """Replace what stands between the two marks of README.md, or write a file of the tables alone.

    A section whose jobs have not run is left out.
    """
    sections = {
        "Quality at equal CPU-seconds": quality(results),
        "Our rows as we would draw them": best(results),
        "Our rows by sampler, 20 calls of the network each": samplers(results),
        "Speed": [*costs(results), "", *two_threads(results)],
        "The bound": bound(results),
        "How cost grows": growth(results),
    }
    begun = {title: lines for title, lines in sections.items() if sum(map(bool, lines)) > 2}
    text = "\n\n".join(
        [*(f"### {title}\n\n" + "\n".join(lines) for title, lines in begun.items()), *plots(file.parent)]
    )
    missing = [job for job in jobs if job not in results]
    if missing:
        text = (
            f"{len(jobs) - len(missing)} of {len(jobs)} jobs have run; the next is `{missing[0]}`, "
            f"the last `{missing[-1]}`.\n\n{text}"
        )
    whole = f"{BEGIN}\n\n{text.rstrip()}\n\n{END}"
    old = file.read_text("utf-8") if file.exists() else whole
    file.write_text(re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: whole, old, flags=re.S), "utf-8")
