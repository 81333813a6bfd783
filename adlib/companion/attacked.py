"""Traffic signs under attack, for the last experiment of OC-NN (Chalapathy et al. 2018, Section 5.3, Table 4).

A classifier learns all signs; the boundary attack (Brendel et al. 2018, as Foolbox has it) changes stop signs until it
takes each of them for another one. The authors' examples were never published, so these are ours. Only a sweep needs
Foolbox: `pip install -c constraints.txt -e .[attack]`.
"""

import fcntl
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from adlib import data
from adlib.detector import seeded_construction

from .recorded import SweepError

N_ATTACKED = 100  # Table 1
CACHE = Path("build/attacked")  # an attack of 10,000 steps takes ten minutes, and every method needs the same


class Attack(NamedTuple):
    """What the attack made of N_ATTACKED test images, and of which classifier."""

    images: np.ndarray  # (100, c, h, w) uint8
    rms: float  # median over the images of the root mean square change of a pixel, in steps of 1 / 255
    accuracy: float  # of the classifier on the test part, mean over classes


class Attacked(NamedTuple):
    """One experiment: rows to train on, rows to score, and for each of these 0 (normal) or the steps of its attack."""

    x_train: np.ndarray
    x_test: np.ndarray
    steps: np.ndarray
    attacks: dict[int, Attack]  # {steps: attack}


def attacked_split(ds: data.Dataset, normal: int, steps: Sequence[int], seed: int, in_sample: bool) -> Attacked:
    """Images of the class `normal` and attacked ones, uint8, all without their border.

    Apart (in_sample false): the training part of the class to train on, its test part and the attacked images to score.
    In sample, as in Section 5.3: all of these together to train on *and* to score; `steps` holds one number then.
    """
    if in_sample and len(steps) != 1:
        raise SweepError(f"attack_steps={list(steps)}: in sample there is one attack to train on, so one number")
    ds = replace(ds, x_train=without_border(ds.x_train), x_test=without_border(ds.x_test))
    attacks = {n: _cached_attack(ds, normal, n, seed) for n in steps}
    train, test = ds.x_train[ds.y_train == normal], ds.x_test[ds.y_test == normal]
    plain = np.concatenate([train, test]) if in_sample else test
    x_test = np.concatenate([plain, *(attack.images for attack in attacks.values())])
    of_row = np.repeat([0, *steps], [len(plain)] + [N_ATTACKED] * len(steps))
    return Attacked(x_test if in_sample else train, x_test, of_row, attacks)


def without_border(x: np.ndarray) -> np.ndarray:
    """Images (n, c, h, w) uint8 without a tenth of their size on each side, at the same size again (Section 5.3)."""
    h, w = x.shape[2:]
    inner = torch.from_numpy(x[:, :, h // 10 : h - h // 10, w // 10 : w - w // 10]).float()
    return F.interpolate(inner, (h, w), mode="bilinear").round().byte().numpy()


# The attack


def attack(ds: data.Dataset, normal: int, steps: int, seed: int) -> Attack:
    """Attack N_ATTACKED test images of the class that a classifier gets right. Raises SweepError."""
    net = train_classifier(ds.x_train, ds.y_train, len(ds.classes), seed)
    x, y = _pixels(ds.x_test), torch.from_numpy(ds.y_test)
    with torch.no_grad():
        right = torch.cat([net(rows).argmax(1) for rows in x.split(500)]) == y
    found = np.flatnonzero((right & (y == normal)).numpy())
    if len(found) < N_ATTACKED:
        raise SweepError(f"{len(found)} test images of class {normal} are recognised: {N_ATTACKED} are needed")
    x = x[np.random.default_rng(seed).choice(found, N_ATTACKED, replace=False)]
    changed = boundary_attack(net, x, normal, steps, seed)
    rms = 255 * np.median((changed - x).square().mean((1, 2, 3)).sqrt())
    accuracy = np.mean([right[y == k].float().mean() for k in y.unique()])
    return Attack((255 * changed).round().byte().numpy(), float(rms), float(accuracy))


def train_classifier(x: np.ndarray, y: np.ndarray, n_classes: int, seed: int, epochs: int = 20) -> nn.Module:
    """A small convolutional network, (n, c, h, w) in [0, 1] -> (n, classes) logits; it sees each class equally often.

    It looks at pixels as an image file holds them: its input is rounded to 8 bits first.
    """
    with seeded_construction(seed):
        net = nn.Sequential(EightBits(), *_blocks(x.shape[1], 16, 32, 64), nn.Flatten(), nn.LazyLinear(n_classes))
        net.eval()(torch.zeros(1, *x.shape[1:]))  # sizes the last layer
    generator = torch.Generator().manual_seed(seed)
    pixels, labels = _pixels(x), torch.from_numpy(y)
    weights = 1 / torch.bincount(labels, minlength=n_classes).float()[labels]
    optimizer = torch.optim.Adam(net.parameters())
    net.train()
    for _ in range(epochs):
        for index in torch.multinomial(weights, len(labels), replacement=True, generator=generator).split(64):
            loss = F.cross_entropy(net(pixels[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


class EightBits(nn.Module):
    """Pixels rounded to multiples of 1 / 255, so that what fools the classifier can be stored as an image."""

    def forward(self, x):
        return (255 * x).round() / 255


def _blocks(c: int, *channels: int) -> list[nn.Module]:
    layers = []
    for c_in, c_out in zip((c, *channels[:-1]), channels, strict=True):
        layers += [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2)]
    return layers


def boundary_attack(net: nn.Module, x: torch.Tensor, label: int, steps: int, seed: int) -> torch.Tensor:
    """Images near x (n, c, h, w), in [0, 1], that the classifier puts into another class than `label`.

    Each starts as x blended with noise and walks along the boundary towards x. Raises SweepError without Foolbox, and
    when an image is not fooled.
    """
    labels = torch.full((len(x),), label)
    with seeded_construction(seed), warnings.catch_warnings(action="ignore"):  # Foolbox draws from torch's generator
        try:
            import foolbox
        except ImportError:
            raise SweepError("the attack needs Foolbox: pip install -c constraints.txt -e .[attack]") from None
        model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
        changed, _, fooled = foolbox.attacks.BoundaryAttack(steps=steps)(model, x, labels, epsilons=None)
    if not fooled.all():
        raise SweepError(f"{int((~fooled).sum())} of {len(x)} images do not fool the classifier after {steps} steps")
    return EightBits()(changed)


def _pixels(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).float() / 255


def _cached_attack(ds: data.Dataset, normal: int, steps: int, seed: int) -> Attack:
    """`attack`, from a file of CACHE where this code has made it before."""
    code = np.frombuffer(Path(__file__).read_bytes(), np.uint8)
    parts = {"code": code, "x": ds.x_train, "y": ds.y_train, "x_test": ds.x_test}
    key = data.digest(parts | {"point": np.array([normal, steps, seed])})[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{key}.npz"
    with open(CACHE / f"{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a sweep's other processes wait for the first
        if not path.exists():
            part = path.with_suffix(".part")
            with open(part, "wb") as file:
                np.savez(file, **attack(ds, normal, steps, seed)._asdict())
            part.replace(path)
    with np.load(path) as found:
        return Attack(found["images"], float(found["rms"]), float(found["accuracy"]))
