"""Side-by-side benchmarks on one thread: ratios of the least times of alternating runs that are checked to do the same.

Times of one machine say little; the ratio of two things measured in turns on it says more.
"""

import resource
import time

import numpy as np
import torch
from scipy.ndimage import affine_transform
from torch.nn import functional as F

from adlib import DROCC, GEOM
from adlib.drocc import project_to_mahalanobis_shell
from adlib.fcdd import upsample_heatmap
from adlib.geom import apply_transforms, transform_table
from adlib.nets import small_cnn, wrn_10_1

torch.set_num_threads(1)


def in_turns(first, second, repeats=9):
    """Least CPU seconds of two functions, called in turns after one warm-up each: what is above it is the machine's."""
    first(), second()
    times = ([], [])
    for repeat in range(repeats):
        turns = list(zip((first, second), times, strict=True))
        for function, kept in turns if repeat % 2 else reversed(turns):  # what ran before leaves its mark on the memory
            start = time.process_time()
            function()
            kept.append(time.process_time() - start)
    return tuple(min(kept) for kept in times)


def loop_over_images(x, size, shift):
    """72 transformations of images x (n, h, w), one image, one SciPy affine transform at a time: (n, 72, h, w)."""
    out = np.empty((len(x), 72, size, size), x.dtype)
    for i, image in enumerate(x):
        t = 0
        for flip in (False, True):
            for row in (0, -shift, shift):
                for col in (0, -shift, shift):
                    moved = np.fliplr(image) if flip else image
                    if row or col:
                        moved = affine_transform(moved, np.eye(2), (row, col), order=0, mode="reflect")
                    for turn in range(4):
                        out[i, t] = np.rot90(moved, turn)
                        t += 1
    return out


def bench_transforms(n=64, size=32, shift=8):
    x = np.random.default_rng(0).random((n, size, size), np.float32)
    table, batch = transform_table(size, shift), torch.from_numpy(x)[:, None]
    np.testing.assert_array_equal(apply_transforms(batch, table)[:, :, 0].numpy(), loop_over_images(x, size, shift))
    loop, ours = in_turns(lambda: loop_over_images(x, size, shift), lambda: apply_transforms(batch, table))
    print(f"transforms: gather is {loop / ours:.0f}x as fast as a loop over images (same pixels; wanted: 10 or more)")


def bench_training(net, size=32, n=512, batch_size=128):
    """One epoch of GEOM over all (image, transformation) pairs against a bare loop over stored, transformed batches."""
    x = (torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(0)) * 255).to(torch.uint8)
    table = transform_table(size, 8, rows=(0,), cols=(0,), turns=(0, 1))
    detector = GEOM(table=table, net=net, batch_size=batch_size)
    detector.shape_in_, detector.device_ = (1, size, size), torch.device("cpu")
    detector.epochs = 1
    kinds = len(table)

    def ours():
        torch.manual_seed(0)
        detector.model_ = detector._build(detector.shape_in_, detector.device_)
        detector._train(x, torch.Generator().manual_seed(0), None)
        return detector.history_[0]

    order = torch.randperm(n * kinds, generator=torch.Generator().manual_seed(0)).split(batch_size)
    ready = [  # this is the set that GEOM never stores
        (2 * apply_transforms(x[i // kinds].float() / 255, table, i % kinds) - 1, i % kinds) for i in order
    ]
    ready = [(images.contiguous(memory_format=torch.channels_last), label) for images, label in ready]

    def bare():
        torch.manual_seed(0)
        model = detector._build(detector.shape_in_, detector.device_).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=5e-4)
        total = 0.0
        for images, label in ready:
            loss = F.cross_entropy(model.head(model.body(images)), label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(label)
        return total.item() / (n * kinds)

    np.testing.assert_allclose(ours(), bare(), rtol=1e-5)
    bare_time, our_time = in_turns(bare, ours, repeats=15)
    print(
        f"training step, {net.__name__}: GEOM takes {our_time / bare_time:.2f} of a bare loop over stored batches"
        " (same loss; wanted: 1.10 or less)"
    )


class Shortened(GEOM):
    """GEOM that stops after 4 training steps and makes up its answers: as much memory as the whole, in less time."""

    def _items(self, x):
        return 4 * self.batch_size

    def _log_p(self, x):
        return F.log_softmax(torch.randn(len(x), self._kinds, self._kinds), 2)


def bench_memory(n=6000, size=32):
    """Peak of the process for a class of Fashion-MNIST with the default network and all 72 transformations."""
    x = np.random.default_rng(0).integers(0, 256, (n, 1, size, size), np.uint8)
    Shortened(epochs=1).fit(x)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stored = 72 * n * size * size * 4 / 2**20
    print(f"memory: {n} images, WRN-10-4: peak {peak:.0f} MiB (wanted: < 1500; the stored set alone: {stored:.0f})")


def plain_drocc_step(model, x, noise, steps, step, radius):
    """Loss of one step as a straightforward reading of the published trainer has it, batch norm's memory included."""
    adversarial = x + noise
    for i in range(1, steps + 1):
        adversarial = adversarial.detach().requires_grad_(True)
        loss = F.binary_cross_entropy_with_logits(model(adversarial).squeeze(1), torch.zeros(len(x)))
        (gradient,) = torch.autograd.grad(loss, adversarial)
        length = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        adversarial = adversarial + step * gradient / length
        if i % 10 == 0:
            delta = adversarial - x
            size = delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            adversarial = x + delta / size * size.clamp(radius, radius)
    positive = F.binary_cross_entropy_with_logits(model(x).squeeze(1), torch.ones(len(x)))
    return positive + F.binary_cross_entropy_with_logits(model(adversarial).squeeze(1), torch.zeros(len(x)))


def bench_drocc(n=64, steps=50, step=1e-3, radius=8.0):
    """One training step on 32 x 32 colour images with the published settings, ours against the plain reading."""
    x = torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    settings = {"gamma": 1, "radius": radius, "ascent_step": step, "project_every": 10}
    detectors = {m: DROCC(ascent_steps=m, batchnorm_tracks_negatives=True, **settings) for m in (steps, 0)}
    for detector in detectors.values():
        detector.shape_in_, detector.device_ = (3, 32, 32), torch.device("cpu")
        torch.manual_seed(0)
        detector.model_ = detector._build((3, 32, 32), detector.device_).train()

    def ours(m):
        loss = detectors[m]._loss(detectors[m]._draw(x, torch.arange(n), torch.Generator().manual_seed(1)))
        loss.backward()
        return loss.item()

    torch.manual_seed(0)
    model = detectors[0]._build((3, 32, 32), torch.device("cpu")).train()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))

    def plain():
        loss = plain_drocc_step(model, ((x - 0.5) / 0.25), noise, steps, step, radius)
        loss.backward()
        return loss.item()

    np.testing.assert_allclose(ours(steps), plain(), rtol=1e-3)
    plain_time, our_time = in_turns(plain, lambda: ours(steps), repeats=3)
    print(f"DROCC step: ours takes {our_time / plain_time:.2f} of a plain loop (same loss; wanted: 1 or less)")
    plain_time, random_time = in_turns(plain, lambda: ours(0), repeats=3)
    print(f"DROCC, random negatives: a step is {plain_time / random_time:.0f}x as fast (wanted: 10 or more)")


def search_by_draws(delta, sigma, radius, gamma, draws=40):
    """Projection of Proposition 1 row by row: the best of 40 random values of tau, or of nu = 1 / tau."""
    generator, out = torch.Generator().manual_seed(0), delta.clone()
    for i, (x, weight) in enumerate(zip(delta, sigma, strict=True)):
        size, best = (weight * x**2).sum().sqrt(), float("inf")
        for u in torch.rand(draws, generator=generator):
            if size < radius:
                scale = 1 / (1 - (1 - u) / weight.max() * weight)
            elif size > gamma * radius:
                share = gamma * radius / size
                nu = u * share / (1 - share) * weight.max()
                scale = nu / (nu + weight)
            else:
                break
            moved = x * scale
            inside = radius <= (weight * moved**2).sum().sqrt() <= gamma * radius
            if inside and (moved - x).norm() < best:
                out[i], best = moved, (moved - x).norm()
    return out


def bench_projection(n=64, d=784):
    random = torch.Generator().manual_seed(0)
    delta = torch.randn(n, d, generator=random)
    sigma = torch.rand(n, d, generator=random).square() * 3
    exact, drawn = project_to_mahalanobis_shell(delta, sigma, 16.0, 1.5), search_by_draws(delta, sigma, 16.0, 1.5)
    assert ((exact - delta).norm(dim=1) <= (drawn - delta).norm(dim=1) + 1e-3)[(drawn != delta).any(1)].all()
    search, ours = in_turns(
        lambda: search_by_draws(delta, sigma, 16.0, 1.5), lambda: project_to_mahalanobis_shell(delta, sigma, 16.0, 1.5)
    )
    print(f"projection of DROCC-LF: exact, and {search / ours:.0f}x as fast as 40 draws a row (wanted: 10 or more)")


def bench_upsampling(size, field, stride, start, sigma, n=128):
    """Heatmaps of a map of FCDD: two matrix products against the transposed convolution of Algorithm 1."""
    a = torch.rand(n, size // stride, size // stride, generator=torch.Generator().manual_seed(0))
    taps = torch.exp(-0.5 * ((torch.arange(field) - (field - 1) / 2) / sigma) ** 2)
    kernel = torch.outer(taps, taps).view(1, 1, field, field)
    first = int((field - 1) / 2 - start)  # pixels of the first field that lie outside the image

    def transposed():
        return F.conv_transpose2d(a.unsqueeze(1), kernel, stride=stride)[:, 0, first:, first:][:, :size, :size]

    def separable():
        return upsample_heatmap(a, (size, size), field, stride, start, sigma, normalize=False)

    torch.testing.assert_close(separable(), transposed(), rtol=1e-4, atol=1e-5)
    slow, fast = in_turns(transposed, separable)
    print(
        f"heatmaps of {size} pixels, field {field}: two products are {slow / fast:.0f}x as fast as a transposed"
        " convolution (same maps; wanted: 10 or more)"
    )


if __name__ == "__main__":
    bench_memory()  # first: the peak is the process's
    bench_transforms()
    bench_training(small_cnn)
    bench_training(wrn_10_1)
    bench_projection()
    bench_drocc()
    bench_upsampling(28, 16, 4, 1.5, 1.2)
    bench_upsampling(32, 22, 4, 1.5, 1.2)
    bench_upsampling(224, 62, 8, 3.5, 8.0, n=16)
