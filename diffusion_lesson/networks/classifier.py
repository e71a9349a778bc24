"""Small classifiers whose last features measure how alike two sets of pictures are."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion_lesson.interrupts import load_optimizers
from diffusion_lesson.shapes import Batch, floats, integers, kind, whole


def _conv(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.BatchNorm2d(channels_out), nn.ReLU()
    )


class Classifier(nn.Module):
    """Convolutions → features → logits: the features are what pictures are compared by."""

    def __init__(self, convolutions: nn.Module, flat: int, features: int, classes: int = 10) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.to_features = nn.Linear(flat, features)
        self.to_logits = nn.Linear(features, classes)

    def features(self, x: Batch) -> Tensor:
        """(B, C, H, W) in [−1, 1] → (B, F), each ≥ 0."""
        return F.relu(self.to_features(self.convolutions(x).flatten(1)))

    def forward(self, x: Batch) -> Tensor:
        """(B, C, H, W) in [−1, 1] → (B, 10) logits."""
        return self.to_logits(self.features(x))


class DigitsClassifier(Classifier):
    """8×8 digits → 32 features → 10 logits: conv 1→32→64, pool, conv 64→64, linear 1024→32, ReLU, linear.

    3×3 convolutions, each with BatchNorm and ReLU. One pool only: two would leave 256 numbers, not 1024.
    """

    def __init__(self) -> None:
        super().__init__(nn.Sequential(_conv(1, 32), _conv(32, 64), nn.MaxPool2d(2), _conv(64, 64)), 1024, 32)


class MnistClassifier(Classifier):
    """28×28 digits → 128 features → 10 logits: conv 1→32→32, pool, 32→64→64, pool, 64→128, average to 2×2, linear.

    3×3 convolutions, each with BatchNorm and ReLU; 512 numbers are left for the features.
    """

    def __init__(self) -> None:
        fine = [_conv(1, 32), _conv(32, 32), nn.MaxPool2d(2)]
        coarse = [_conv(32, 64), _conv(64, 64), nn.MaxPool2d(2), _conv(64, 128), nn.AdaptiveAvgPool2d(2)]
        super().__init__(nn.Sequential(*fine, *coarse), 512, 128)


class Cifar10Classifier(Classifier):
    """32×32 colour → 128 features → 10 logits: conv 3→64→64, pool, 64→128→128, pool, 128→256→256, pool, linear.

    3×3 convolutions, each with BatchNorm and ReLU. The last pool averages to 2×2, whatever the side.
    """

    def __init__(self) -> None:
        levels = [(3, 64), (64, 128), (128, 256)]
        parts = [part for a, b in levels for part in (_conv(a, b), _conv(b, b), nn.MaxPool2d(2))]
        super().__init__(nn.Sequential(*parts, nn.AdaptiveAvgPool2d(2)), 1024, 128)


@torch.inference_mode(False)
@torch.enable_grad()
def train_classifier(
    classifier: nn.Module,
    x: Batch,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> None:
    """Minimise the cross-entropy on (x, labels) with AdamW and a one-cycle rate; leaves it in eval mode."""
    floats(x, "x")
    labels = integers(labels)
    if labels.shape != x.shape[:1]:
        raise ValueError(f"labels: expected one for each of {len(x)} pictures, got {kind(labels)}")
    if whole(epochs, "epochs", "1 or more") < 1:
        raise ValueError(f"epochs: expected 1 or more, got {epochs}")
    if not 1 <= whole(batch_size, "batch_size", f"1..{len(x)}") <= len(x):
        raise ValueError(f"batch_size: expected 1..{len(x)}, the number of pictures, got {batch_size}")
    generator, device = torch.Generator().manual_seed(whole(seed, "seed")), next(classifier.parameters()).device
    steps = epochs * (len(x) // batch_size)
    load_optimizers()
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=learning_rate)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=learning_rate, total_steps=steps + 1)
    classifier.train()
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator, device="cpu")
        for batch in order[: len(x) // batch_size * batch_size].split(batch_size):
            y = labels[batch.to(labels.device)].to(device)
            loss = F.cross_entropy(classifier(x[batch.to(x.device)].to(device)), y)
            optimizer.zero_grad()
            loss.backward()
            with torch.device("cpu"):  # PyTorch before 2.7 keeps the count of steps on the default device
                optimizer.step()
            rate.step()
    classifier.eval()
