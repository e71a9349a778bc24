"""The page of what `bench.colour` measured."""

from typing import Any

TURN = "classes in turn"


def report(results: dict[str, Any]) -> str:
    """The page of the results."""
    ruler, pair, ours = (results[name] for name in ("yardstick", "copies", "drawn"))
    plain, both = ruler["floors"], ruler["floors, mirrored"]
    n, columns = str(ours["n"]), (plain["at random"], plain[TURN], both[TURN])
    return PAGE.format(
        **{split: f"{share:.1%}" for split, share in ruler["accuracy"].items()},
        floors="\n".join(
            f"| {int(k):,} | " + " | ".join(_spread(column[k]) for column in columns) + " |" for k in plain[TURN]
        ),
        halves=ruler["test pictures against others, n = 5000"],
        pairs=pair["n"],
        rms=pair["grey levels, rms"],
        read=pair["accuracy"],
        far=pair["distance to the test copies"],
        between=pair["distance between the two"],
        others=pair["distance of others as many, copies and copies"],
        n=ours["n"],
        steps=ours["steps"],
        guidance=ours["guidance"],
        told=ours["read as told"],
        distance=ours["distance"]["as they are"],
        floor=_spread(plain[TURN][n]),
        distance_mirrored=ours["distance"]["and mirrored"],
        floor_mirrored=_spread(both[TURN][n]),
    )


def _spread(entry: dict[str, float]) -> str:
    return f"{entry['mean']:.2f} ± {entry['deviation']:.2f}"


PAGE = """# Colour: CIFAR-10 as JPEG copies

Written by `bench/colour.py` from `colour.json`. Every distance is Fréchet's, between Gaussians fitted to 128
features of `classifier-cifar10`. It is no FID: the features of another network give other numbers.

## The yardstick

It reads {test} of the 10,000 test copies as what they show, and {train} of the 50,000 that it was trained on.

The floor, what real training copies score against the test copies. ± is the standard deviation of one draw. In the
last column each training copy is mirrored or not, at random, and the test copies stand there with their mirror
images.

| n | at random | classes in turn | classes in turn, mirrored |
|---|---|---|---|
{floors}

Two halves of the test copies, 5,000 each, are {halves:.2f} apart.

## What the copies cost

{pairs:,} originals of the training set, beside their copies of quality 75. A copy is {rms:.1f} grey levels away
(rms, the mean over pictures). The yardstick was trained on the copies, these among them.

| | originals | their copies |
|---|---|---|
| read as what they show | {read[originals]:.1%} | {read[copies]:.1%} |
| distance to the test copies | {far[originals]:.2f} | {far[copies]:.2f} |

The originals are {between:.2f} away from their copies. Two sets of training copies, as many each and drawn at
random, are {others:.2f} apart.

## The pictures of `cifar10`

{n:,} pictures, the classes in turn, by DDIM with η = 1 in {steps} steps, guidance {guidance:g}.
{told:.1%} are read as what was asked for.

| against | distance | floor |
|---|---|---|
| the 10,000 test copies | {distance:.2f} | {floor} |
| these and their mirror images | {distance_mirrored:.2f} | {floor_mirrored} |
"""
