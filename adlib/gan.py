"""ADGAN: how far a row is from the nearest one that a generator draws (Deecke et al. 2018)."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval
from torch import nn
from torch.nn import functional as F

from . import nets
from .autoencoder import check_autoencoder, to_network
from .detector import TRAINED, Detector

# ---- formulas


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits (n,) of real rows and of drawn ones, () (Goodfellow et al. 2014, Eq. 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """-log D(G(z)) of logits (n,), (): does not vanish where the drawn are told apart (Goodfellow 2014, Section 3)."""
    return F.softplus(-fake).mean()


def latent_search(error: Callable, z: torch.Tensor, steps: int, lr: float) -> torch.Tensor:
    """Codes (m, c) after `steps` steps of Adam down error(z), (m,), from z (m, c).

    The steps of one code do not depend on the others: error must take them one by one, and Adam scales each number by
    itself. First momentum 0.5, as in GEOM's code.
    """
    first, second, mean, square = 0.5, 0.999, torch.zeros_like(z), torch.zeros_like(z)
    for step in range(1, steps + 1):
        z = z.detach().requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(error(z).sum(), z)
        mean = first * mean + (1 - first) * slope
        square = second * square + (1 - second) * slope.square()
        unit = (mean / (1 - first**step)) / ((square / (1 - second**step)).sqrt() + 1e-8)
        z = z.detach() - lr * unit
    return z.detach()


# ---- the network and the detector


class Discriminator(nn.Module):
    """Logit of each row, (n,), larger for real ones: the encoder of an autoencoder and a linear layer.

    Its decoder, the generator, comes along unused.
    """

    def __init__(self, net: nn.Module, code: int):
        super().__init__()
        self.net = net
        self.last = nn.Linear(code, 1)

    def forward(self, x):
        return self.last(self.net.encode(x)).squeeze(1)

    def frozen(self, x):
        """The same with a gradient to x alone, and without a trace in batch norm's memory."""
        weights = {name: weight.detach() for name, weight in self.named_parameters()}
        memory = {name: buffer.clone() for name, buffer in self.named_buffers()}
        return torch.func.functional_call(self, weights | memory, x)


@dataclass(kw_only=True, eq=False, repr=False)
class ADGAN(Detector):
    """Squared error of what the generator of a GAN draws for a row, searched in its latent space (Deecke et al. 2018).

    Generator and discriminator are trained against each other, both by a step on each batch (Goodfellow et al. 2014).
    The discriminator is then of no more use. To score a row, codes start at random and go down the squared error to it;
    the score is the mean error over the starts. All rows have the same starts, drawn in `fit`, so that a row always has
    the same score. The paper also adapts the generator to each row, which is one network a row; here it stays.

    Images are seen as by `Autoencoder`. Scale rows yourself.
    """

    starts: int = 8
    """Codes that a search starts from; 8 in GEOM's code. May not be changed after `fit`."""
    search_steps: int = 5
    """Steps of the search; 5 in GEOM's code. Its time grows with them, and far more of them need not help: anomalies
    are then drawn well too. May be changed after `fit`."""
    search_lr: float = 0.25
    """Its learning rate; that of GEOM's code. May be changed after `fit`."""
    net: Callable | None = None
    """Factory shape -> module whose `decode`, (n, z) -> rows, is the generator, and whose `encode`, X -> (n, z), is
    the body of the discriminator. None: `nets.mlp_autoencoder` for rows, `nets.dcgan_autoencoder_narrow` for images;
    GEOM's have the channels of `nets.dcgan_autoencoder`, with which a search takes 16 times as long."""
    epochs: int = 100
    """As GEOM's, of 100 batches each (Section 5.3 and code); with few rows take more."""
    batch_size: int = 128
    """Section 5.3 of GEOM."""
    lr: float = 1e-3
    """Adam with a first momentum of 0.5. Radford et al. (2016) have 2e-4, with more steps."""
    weight_decay: float = 0.0
    """None named."""
    amp: bool = False
    """Forward passes of the training in bfloat16."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    scored_by = ("search_steps", "search_lr")
    chunk = 64  # a row needs `starts` drawings
    _parameter_constraints = (
        Detector._parameter_constraints
        | TRAINED
        | {
            "starts": [Interval(Integral, 1, None, closed="left")],
            "search_steps": [Interval(Integral, 0, None, closed="left")],
            "search_lr": [Interval(Real, 0, None, closed="neither")],
        }
    )

    def _build(self, shape, device):
        model = nn.Module()
        net = (self.net or (nets.mlp_autoencoder if len(shape) == 1 else nets.dcgan_autoencoder_narrow))(shape)
        code = check_autoencoder(net, shape)
        model.discriminator = Discriminator(net, code)
        model.register_buffer("starts", torch.randn(self.starts, code))
        return model.to(device, memory_format=torch.channels_last)

    def _optimizer(self):
        weights = self.model_.parameters()
        return torch.optim.Adam(weights, lr=self.lr, betas=(0.5, 0.999), weight_decay=self.weight_decay)

    def _draw(self, x, index, generator):
        rows = super()._draw(x, index, generator)
        code = torch.randn(len(rows), self.model_.starts.shape[1], generator=generator, device=rows.device)
        return to_network(rows, self.model_.discriminator.net), code

    def _loss(self, batch):
        real, code = batch
        discriminator = self.model_.discriminator
        fake = discriminator.net.decode(code)
        told_apart = discriminator_loss(discriminator(real), discriminator(fake.detach()))
        return told_apart + generator_loss(discriminator.frozen(fake))  # each gradient goes to one of the two

    def _score(self, batch):
        net, starts = self.model_.discriminator.net, self.model_.starts
        x, m = to_network(batch, net), len(starts)

        def error(z):  # (n m, z) -> (n m,)
            drawn = net.decode(z).unflatten(0, (len(x), m))
            return (drawn - x[:, None]).square().flatten(2).mean(2).flatten()

        z = latent_search(error, starts.repeat(len(x), 1), self.search_steps, self.search_lr)
        return error(z).unflatten(0, (len(x), m)).mean(1)
