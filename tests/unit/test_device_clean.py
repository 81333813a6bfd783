"""Everything follows the tensor's device: forward passes on fake CUDA tensors, where a stray CPU tensor is an error."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from adlib import METHODS, nets
from adlib.geom import transform_table

CASES = {
    "ADGAN-rows": ("ADGAN", {"starts": 2}, (5,)),
    "ADGAN-images": ("ADGAN", {"starts": 2}, (3, 30, 32)),
    "Autoencoder-rows": ("Autoencoder", {}, (5,)),
    "Autoencoder-images": ("Autoencoder", {}, (3, 30, 32)),
    "DAGMM-rows": ("DAGMM", {}, (5,)),
    "DAGMM-images": ("DAGMM", {}, (1, 28, 28)),
    "DSEBM-energy": ("DSEBM", {}, (5,)),
    "DSEBM-reconstruction": ("DSEBM", {"score_by": "reconstruction"}, (3, 30, 32)),
    "DeepSAD": ("DeepSAD", {}, (5,)),
    "DeepSVDD-rows": ("DeepSVDD", {}, (5,)),
    "DeepSVDD-images": ("DeepSVDD", {}, (3, 32, 32)),
    "DROCC-rows": ("DROCC", {"ascent_steps": 3, "ascent_step": 0.1, "project_every": 2}, (5,)),
    "DROCC-images": ("DROCC", {"ascent_steps": 2, "ascent_step": 1.0}, (3, 32, 32)),
    "DROCCLF": ("DROCCLF", {"ascent_steps": 2, "ascent_step": 1.0, "project_every": 1}, (1, 28, 28)),
    "DROCCOE": ("DROCCOE", {"ascent_steps": 0}, (5,)),
    "FCDD-confetti": ("FCDD", {}, (3, 32, 32)),
    "FCDD-outliers": ("FCDD", {}, (1, 28, 28), "outliers"),
    "FCDD-masks": ("FCDD", {"crop": 0, "flip": False}, (3, 64, 64), "outliers", "masks"),
    "FCDD-masks-cropped": ("FCDD", {"net": nets.fcn_narrow}, (3, 32, 32), "outliers", "masks"),
    "GEOM-simple": ("GEOM", {"score": "simple", "net": nets.small_cnn}, (1, 32, 32)),
    "GEOM-dirichlet": ("GEOM", {"table": transform_table(32, 8, turns=(0, 1))}, (3, 32, 32)),
    "GOAD": ("GOAD", {"transformations": 6}, (5,)),
    "HSC": ("HSC", {}, (1, 28, 28)),
    "HSC-outliers": ("HSC", {}, (3, 32, 32), "outliers"),
    "NS-count": ("NoveltyNormalization", {}, (1, 28, 28)),
    "OCNN-linear": ("OCNN", {}, (5,)),
    "OCNN-cosine": ("OCNN", {"activation": "cosine", "net": nets.lenet}, (1, 28, 28)),
    "NS-hard-concrete": ("NoveltyNormalization", {"l0": "hard-concrete", "normalize": "through"}, (3, 32, 32)),
    "RCAE-rows": ("RCAE", {}, (5,)),
    "RCAE-images": ("RCAE", {}, (3, 32, 32)),
    "SoftDeepSVDD": ("SoftDeepSVDD", {"warmup_epochs": 0}, (5,)),
    "RandomFeatures": ("RandomFeatures", {}, (3, 32, 32)),
    "VAE-rows": ("VAE", {}, (5,)),
    "VAE-images": ("VAE", {"sigma": 0.1}, (3, 32, 32)),
}


def test_every_method_with_a_network_is_here():
    networks = {name for name, method in METHODS.items() if hasattr(method(), "net")}
    assert networks == {case[0] for case in CASES.values()}


def fake_cuda(module: torch.nn.Module, mode: FakeTensorMode):
    """Replace each parameter and buffer by a fake one on CUDA; anything else the module holds stays where it is."""
    for part in module.modules():
        for store in (part._parameters, part._buffers):
            for name, value in store.items():
                if value is not None:
                    fake = mode.from_tensor(value.detach())
                    with mode:
                        store[name] = torch.nn.Parameter(fake.cuda()) if store is part._parameters else fake.cuda()


def forward(detector, shape, *given):
    """Run loss and score of an untrained detector, `given` to its fit, on fake CUDA tensors; their devices' types."""
    detector.shape_in_, detector.device_ = shape, torch.device("cuda")
    detector.model_ = detector._build(shape, torch.device("cpu"))
    mode = FakeTensorMode()
    fake_cuda(detector.model_, mode)
    with mode, torch.no_grad():
        x = torch.empty(4, 3, *shape, device="cuda")[:, 0]
        if "outliers" in given:
            detector._outliers = torch.empty(5, *shape, dtype=torch.uint8, device="cuda")
        if "masks" in given:
            detector._masks = torch.empty(5, *shape[1:], device="cuda")
        index = torch.zeros(4, dtype=torch.int64, device="cuda")
        devices = {detector._score(x).device.type}
        if hasattr(detector, "epochs"):
            devices.add(detector._loss(detector._draw(x, index, None)).device.type)
        return devices


def ones(outputs, inputs, *_, **__):
    """In place of torch.autograd.grad, which torch.func calls too, with more arguments."""
    return tuple(torch.ones_like(x) for x in ([inputs] if isinstance(inputs, torch.Tensor) else inputs))


@pytest.mark.parametrize("case", CASES)
def test_forward_on_fake_cuda(case, monkeypatch):
    name, settings, shape, *given = CASES[case]
    # backward passes need a real device; a gradient has the shape and the device of its tensor
    monkeypatch.setattr(torch.autograd, "grad", ones)
    assert forward(METHODS[name](**settings), shape, *given) == {"cuda"}


def test_a_stray_cpu_tensor_is_caught():
    class Stray(METHODS["DeepSVDD"]):
        def _score(self, batch):
            return super()._score(batch) * torch.ones(4, device="cpu")

    with pytest.raises(Exception, match="device|FakeTensor"):
        forward(Stray(), (5,))


def test_an_unregistered_tensor_is_caught():
    class Unregistered(METHODS["DeepSVDD"]):
        def _build(self, shape, device):
            model = super()._build(shape, device)
            model.scale = torch.ones(1)
            return model

        def _score(self, batch):
            return super()._score(batch) * self.model_.scale

    with pytest.raises(Exception, match="device|Fake"):
        forward(Unregistered(), (5,))
