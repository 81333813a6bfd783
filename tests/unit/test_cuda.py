"""The same detectors on a CUDA device: fit, backward, generators, and saving there to load here."""

import copy

import numpy as np
import pytest
import torch
from test_battery import METHODS, TRAINED, data_of, make

from adlib import load, save

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.parametrize("name", TRAINED),
]


def test_fits_and_scores_like_the_cpu(name):
    x = data_of(name)(80, 0)
    on_cpu, on_gpu = (make(name, device=device).fit(x) for device in ("cpu", "cuda"))
    assert {v.device.type for v in on_gpu._state().values()} == {"cuda"}
    first = [make(name, device=device, epochs=1, lr=1e-12).fit(x) for device in ("cpu", "cuda")]
    np.testing.assert_allclose(first[1].anomaly_score(x), first[0].anomaly_score(x), rtol=1e-2, atol=1e-3)  # same start
    both = np.concatenate([data_of(name)(60, 2), data_of(name)(60, 3, anomalous=True)])
    rank = np.corrcoef(on_cpu.anomaly_score(both), on_gpu.anomaly_score(both))[0, 1]
    assert rank > 0.5  # another order of the batches and other random numbers, the same method


def test_refit_is_equal_and_the_callers_state_untouched(name):
    x, state = data_of(name)(80, 0), torch.cuda.get_rng_state()
    first = make(name, device="cuda").fit(x).anomaly_score(x)
    np.testing.assert_allclose(make(name, device="cuda").fit(x).anomaly_score(x), first, rtol=1e-3, atol=1e-4)
    assert torch.equal(state, torch.cuda.get_rng_state())


def test_tensors_on_either_device(name):
    x = torch.from_numpy(data_of(name)(40, 0))
    d = make(name, device="cuda").fit(x.cuda())
    np.testing.assert_array_equal(d.anomaly_score(x), d.anomaly_score(x.cuda()))


def test_amp_and_saving_on_the_gpu_loading_on_the_cpu(name, tmp_path):
    x = data_of(name)(40, 0)
    d = make(name, device="cuda", amp=True).fit(x)
    save(d, tmp_path / "d")
    on_cpu = load(tmp_path / "d", device="cpu")
    assert {v.device.type for v in on_cpu._state().values()} == {"cpu"}
    np.testing.assert_allclose(on_cpu.anomaly_score(x), d.anomaly_score(x), rtol=1e-2, atol=1e-3)
    assert isinstance(copy.deepcopy(d), METHODS[name])
