"""Is it a dog, this dog, a copy? What judges the pictures of bench.dogs, and what it was not shown before."""

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion_lesson.learning import data, dreambooth, metrics, portraits, weights
from diffusion_lesson.networks.classifier import Cifar10Classifier

DOGS = tuple(dreambooth.PHOTOGRAPHERS)
SIZE, LARGER, COPY, LEFT_OUT = 32, (36, 40), 0.1, 2
LAYER, ZOOMED = 7, (40, 48)  # of the nearest-dog test: how deep it looks, and how large copies it crops


@cache
def squares(dog: str, side: int) -> Tensor:
    """All photographs of a dog, `side` pixels wide, in [−1, 1]."""
    return data.to_signed(data.dreambooth_dog(dog, side).images)


def left_out(count: int, seed: int) -> list[int]:
    """Which of a dog's photographs one run keeps for the test: a pair, and the next pair for the next seed.

    So no pair has one of dog5's 02 and 03, which are each other's mirrors, without the other.
    """
    return [(LEFT_OUT * seed + k) % count for k in range(LEFT_OUT)]


class Photographs:
    """All dogs', as the networks see them, divided as one seed divides them."""

    def __init__(self, seed: int) -> None:
        self.kept, self.test, self.whole, self.known = {}, {}, {}, {}
        for dog in DOGS:
            whole = squares(dog, SIZE)
            out = left_out(len(whole), seed)
            self.kept[dog] = [k for k in range(len(whole)) if k not in out]
            self.whole[dog], self.test[dog] = whole[self.kept[dog]], whole[out]
            self.known[dog] = torch.cat([whole[out], *(crops(dog, out, side) for side in ZOOMED)])

    def learned(self, dog: str, judge: "Judge") -> Tensor:
        """The views of a dog that a network learns."""
        larger = [squares(dog, side)[self.kept[dog]] for side in LARGER]
        return portraits.surest(self.whole[dog], larger, judge.sure)


def crops(dog: str, which: list[int], side: int) -> Tensor:
    """Nine squares, corners, edges and middle, out of copies that are `side` pixels wide."""
    copies, margin = squares(dog, side)[which], side - SIZE
    starts = (0, margin // 2, margin)
    return torch.cat([copies[..., i : i + SIZE, j : j + SIZE] for i in starts for j in starts])


class Judge:
    """The classifier that ships, and a nearest-dog test on what it sees on the way."""

    def __init__(self) -> None:
        classifier, _ = weights.load_classifier("classifier-cifar10")
        assert isinstance(classifier, Cifar10Classifier)
        self.classifier = classifier

    @torch.no_grad()
    def read(self, x: Tensor) -> Tensor:
        """What the classifier takes each picture for."""
        return torch.cat([self.classifier(part).argmax(1) for part in x.split(100)])

    @torch.no_grad()
    def sure(self, x: Tensor) -> Tensor:
        """The log-probability that it gives to dog."""
        place = weights.card("cifar10").label("dog")
        return torch.cat([self.classifier(part).log_softmax(1)[:, place] for part in x.split(100)])

    @torch.no_grad()
    def looks(self, x: Tensor) -> Tensor:
        """What a middle layer sees in the middle of a picture: colours, fur, edges. A direction.

        The 128 features at the end say that it is a dog, and hardly which.
        """
        assert isinstance(self.classifier.convolutions, torch.nn.Sequential)
        maps = torch.cat([self.classifier.convolutions[:LAYER](part) for part in x.split(100)])
        edge = maps.shape[-1] // 4
        middle = maps[..., edge:-edge, edge:-edge]
        return F.normalize(torch.cat([middle.mean((2, 3)), middle.std((2, 3))], 1), dim=1)

    @torch.no_grad()
    def last(self, x: Tensor) -> Tensor:
        """The 128 features, as a direction."""
        return F.normalize(metrics.features(self.classifier, x), dim=1)


def nearest_dog(x: Tensor, known: dict[str, Tensor], by: Callable[[Tensor], Tensor]) -> Tensor:
    """The place in DOGS of the dog that each picture's nearest known view shows, mirrored or not."""
    views = [by(torch.cat([pictures, pictures.flip(-1)])) for pictures in known.values()]
    dogs = torch.arange(len(views)).repeat_interleave(torch.tensor([len(each) for each in views]))
    return dogs[torch.cdist(by(x), torch.cat(views)).argmin(1)]
