"""Peers' U-Nets, each trained and sampled as its own authors publish it, as far as one CPU core can run that.

The numbers below were read in the courses' and packages' own texts (README.md says where); the code is ours.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.contenders import CALLS
from diffusion_lesson.process.prediction import EpsModel, as_eps, clipped
from diffusion_lesson.process.schedule import Schedule


class _WithLabelPlanes(nn.Module):
    """A U-Net that sees four more planes beside the picture: a learned vector for its label, at every pixel."""

    def __init__(self, unet: nn.Module, planes: int) -> None:
        super().__init__()
        self.unet, self.vectors = unet, nn.Embedding(10, planes)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Any:
        planes = self.vectors(labels)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.unet(torch.cat([x, planes], 1), t)


class Course:
    """diffusers' UNet2DModel as Hugging Face's Diffusion Models Course trains it on MNIST.

    The network is that of unit 1 ("from scratch"); the loop, and the label planes, are those of unit 2.
    """

    batch, size = 128, 28
    samplers: tuple[str, ...] = ("DDIM η=0",)
    best = "DDIM η=0"

    def __init__(self, seed: int, *, labelled: bool) -> None:
        from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

        planes = 4 if labelled else 0
        torch.manual_seed(seed)
        unet = UNet2DModel(
            sample_size=28,
            in_channels=1 + planes,
            out_channels=1,
            layers_per_block=2,
            block_out_channels=(32, 64, 64),
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        )
        self.labelled = labelled
        self.network: nn.Module = _WithLabelPlanes(unet, planes) if labelled else unet
        self.noising = DDPMScheduler(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2")
        self.denoising = DDIMScheduler.from_config(self.noising.config)
        self.schedule = Schedule(self.noising.betas.double())

    def training(self, x: Tensor, y: Tensor, seed: int) -> Iterator[None]:
        """ε-prediction, Adam at 1e-3, batches of 128, no average of the weights; t from 0 to 998, as there."""
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        self.network.train()
        while True:
            for picked in torch.randperm(len(x), generator=generator).split(self.batch):
                noise = torch.randn(x[picked].shape, generator=generator)
                t = torch.randint(0, 999, (len(picked),), generator=generator)
                noisy = self.noising.add_noise(x[picked], noise, t)
                loss = F.mse_loss(self._predict(noisy, t, y[picked]), noise)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                yield

    def eps_model(self, labels: Tensor) -> EpsModel:
        """Their steps are 0..999, ours 1..1000."""
        return clipped(self.schedule, lambda xt, t: self._predict(xt, t - 1, labels))

    @torch.no_grad()
    def draw(self, sampler: str, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Their DDIMScheduler, made from the DDPMScheduler of the training."""
        self.network.eval()
        x = torch.randn(len(labels), 1, 28, 28, generator=generator)
        self.denoising.set_timesteps(CALLS)
        for t in self.denoising.timesteps:
            x = self.denoising.step(self._predict(x, t.expand(len(x)), labels), t, x).prev_sample
        return x

    def one_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """See Contender."""
        return (self._predict(x, torch.full((len(x),), 5), y) ** 2).mean()

    def _predict(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        return (self.network(x, t, labels) if self.labelled else self.network(x, t)).sample


class DenoisingDiffusionPytorch:
    """The package denoising-diffusion-pytorch with the numbers of its README; no labels.

    28×28 pictures are padded to 32×32, since its U-Net halves three times. Its Trainer reads a folder of pictures
    and mirrors them at random; the loop here takes the tensors, and mirrors no digit.
    """

    labelled = False
    accumulate, micro_batch, size = 2, 32, 32
    batch = accumulate * micro_batch
    samplers: tuple[str, ...] = ("DDIM η=0",)
    best = "DDIM η=0"

    def __init__(self, seed: int) -> None:
        with torchvision_or_a_stand_in():
            from denoising_diffusion_pytorch import GaussianDiffusion, Unet
            from ema_pytorch import EMA

        torch.manual_seed(seed)
        unet = Unet(dim=64, dim_mults=(1, 2, 4, 8), channels=1)
        self.diffusion = GaussianDiffusion(unet, image_size=32, timesteps=1000, sampling_timesteps=CALLS)
        self.average = EMA(self.diffusion, beta=0.995, update_every=10)
        self.network: nn.Module = self.average.ema_model.model
        self.schedule = Schedule(self.diffusion.betas.double())

    def training(self, x: Tensor, y: Tensor, seed: int) -> Iterator[None]:
        """Its default loss (v-prediction, sigmoid schedule), Adam at 8e-5, gradients of norm 1 at most."""
        torch.manual_seed(seed)
        optimizer = torch.optim.Adam(self.diffusion.parameters(), lr=8e-5, betas=(0.9, 0.99))
        self.diffusion.train()
        while True:
            for picked in torch.randperm(len(x)).split(self.batch):
                optimizer.zero_grad()
                for part in picked.split(self.micro_batch):
                    (self.diffusion(_padded(x[part]) / 2 + 0.5) / self.accumulate).backward()
                nn.utils.clip_grad_norm_(self.diffusion.parameters(), 1.0)
                optimizer.step()
                self.average.update()
                if self.average.step <= self.average.update_after_step:  # it copies every tenth step so far
                    self.average.copy_params_from_model_to_ema()
                yield

    def eps_model(self, labels: Tensor) -> EpsModel:
        """Its steps are 0..999, ours 1..1000."""
        return clipped(self.schedule, as_eps(self.schedule, lambda xt, t: self.network(xt, t - 1), predicts="v"))

    @torch.no_grad()
    def draw(self, sampler: str, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Its own DDIM, which takes its noise from the global generator."""
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        self.average.ema_model.eval()
        drawn = self.average.ema_model.sample(batch_size=len(labels))
        return drawn[:, :, 2:30, 2:30] * 2 - 1

    def one_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """See Contender."""
        return (self.network(x, torch.full((len(x),), 5)) ** 2).mean()


def _padded(x: Tensor) -> Tensor:
    return F.pad(x, (2, 2, 2, 2), value=-1.0)


@contextmanager
def torchvision_or_a_stand_in() -> Iterator[None]:
    """The package imports torchvision for its Trainer, which is not used here; and torchvision may be absent.

    What stands in for it goes again, and others see that there is none: diffusers asks for its __spec__, too.
    """
    absent = find_spec("torchvision") is None
    names = ("torchvision", "torchvision.transforms", "torchvision.utils") if absent else ()
    stand_ins = {name: module_from_spec(ModuleSpec(name, None)) for name in names}
    sys.modules |= stand_ins
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]
