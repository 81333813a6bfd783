"""Images under the boundary attack, and the two experiments made of them."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from adlib import data
from adlib.companion import attacked
from adlib.companion.recorded import SweepError

EIGHT = 8


@pytest.fixture(scope="module")
def digits():
    ds = data.load("digits")
    return replace(ds, x_train=attacked.without_border(ds.x_train), x_test=attacked.without_border(ds.x_test))


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Six attacked images and two epochs of the classifier, with a cache of its own."""
    monkeypatch.setattr(attacked, "N_ATTACKED", 6)
    monkeypatch.setattr(attacked, "CACHE", tmp_path / "cache")
    train = attacked.train_classifier
    monkeypatch.setattr(attacked, "train_classifier", lambda x, y, k, seed: train(x, y, k, seed, epochs=2))


def test_the_border_is_a_tenth_on_each_side_and_the_size_stays():
    x = np.zeros((2, 3, 32, 32), np.uint8)
    x[:, :, 3:29, 3:29] = 200
    assert (attacked.without_border(x) == 200).all() and attacked.without_border(x).dtype == np.uint8
    x[:, :, 3:29, 3:29] = np.arange(26)
    inner = attacked.without_border(x)
    assert inner.shape == x.shape and inner[0, 0, 0, 0] == 0 and inner[0, 0, 0, -1] == 25
    assert (np.diff(inner[0, 0, 0].astype(int)) >= 0).all()


def test_the_classifier_learns_and_a_rare_class_as_well(digits):
    rare = (digits.y_train != EIGHT) | (np.cumsum(digits.y_train == EIGHT) <= 10)  # ten eights, 140 of the others
    net = attacked.train_classifier(digits.x_train[rare], digits.y_train[rare], 10, 0, epochs=4)
    x = torch.from_numpy(digits.x_test).float() / 255
    with torch.no_grad():
        right = net(x).argmax(1).numpy() == digits.y_test
    assert right.mean() > 0.85 and right[digits.y_test == EIGHT].mean() > 0.5  # 0.14 without equal odds
    with torch.no_grad():  # less than half a step of a pixel is nothing
        assert torch.equal(net(x), net(x + 0.4 / 255))


def test_attacked_images_fool_the_classifier_as_they_are_stored_and_come_nearer_with_the_steps(digits, few):
    short, long = (attacked.attack(digits, EIGHT, steps, 0) for steps in (1, 150))
    net = attacked.train_classifier(digits.x_train, digits.y_train, 10, 0)
    for made in (short, long):
        assert made.images.shape == (6, 1, 32, 32) and made.images.dtype == np.uint8
        with torch.no_grad():
            assert (net(torch.from_numpy(made.images).float() / 255).argmax(1) != EIGHT).all()
    assert 0 < long.rms < short.rms < 255
    assert short.accuracy == long.accuracy > 0.5


def test_the_size_of_an_attack_is_in_steps_of_a_pixel_and_what_was_recognised_is_attacked(digits, few, monkeypatch):
    seen = []

    def three_steps(net, x, *_):
        with torch.no_grad():
            seen.extend(net(x).argmax(1).tolist())
        return x + torch.where(x < 0.5, 3 / 255, -3 / 255)

    monkeypatch.setattr(attacked, "boundary_attack", three_steps)
    assert attacked.attack(digits, EIGHT, 1, 0).rms == pytest.approx(3, abs=1e-4)
    assert seen == [EIGHT] * 6


def test_an_attack_is_its_seed_and_leaves_the_callers_random_numbers_alone(digits, few):
    np.random.seed(3)
    torch.manual_seed(3)
    first = attacked.attack(digits, EIGHT, 5, 0)
    drawn = np.random.rand(), torch.rand(1).item()
    np.random.seed(3)
    torch.manual_seed(3)
    assert drawn == (np.random.rand(), torch.rand(1).item())
    np.testing.assert_array_equal(first.images, attacked.attack(digits, EIGHT, 5, 0).images)
    assert (first.images != attacked.attack(digits, EIGHT, 5, 1).images).any()


def test_apart_the_training_part_is_clean(few):
    split = attacked.attacked_split(data.load("digits"), EIGHT, [2, 4], 0, in_sample=False)
    ds = data.load("digits")
    assert len(split.x_train) == (ds.y_train == EIGHT).sum()
    n = (ds.y_test == EIGHT).sum()
    np.testing.assert_array_equal(split.steps, [0] * n + [2] * 6 + [4] * 6)
    for steps, made in split.attacks.items():
        np.testing.assert_array_equal(split.x_test[split.steps == steps], made.images)
    np.testing.assert_array_equal(split.x_test[:n], attacked.without_border(ds.x_test[ds.y_test == EIGHT]))


def test_in_sample_everything_is_trained_on_and_scored(few):
    ds = data.load("digits")
    split = attacked.attacked_split(ds, EIGHT, [2], 0, in_sample=True)
    assert split.x_train is split.x_test
    assert len(split.x_test) == (ds.y_train == EIGHT).sum() + (ds.y_test == EIGHT).sum() + 6 == len(split.steps)
    with pytest.raises(SweepError, match=r"attack_steps=\[2, 4\]: in sample there is one attack"):
        attacked.attacked_split(ds, EIGHT, [2, 4], 0, in_sample=True)


def test_an_attack_is_made_once(few, monkeypatch):
    ds = data.load("digits")
    made = attacked.attacked_split(ds, EIGHT, [2], 0, in_sample=False)
    monkeypatch.setattr(attacked, "attack", lambda *_: pytest.fail("made again"))
    again = attacked.attacked_split(ds, EIGHT, [2], 0, in_sample=True)
    np.testing.assert_array_equal(made.attacks[2].images, again.attacks[2].images)
    assert made.attacks[2][1:] == again.attacks[2][1:]


def test_too_few_images_and_a_missing_foolbox_are_one_sentence_each(digits, few, monkeypatch):
    monkeypatch.setitem(sys.modules, "foolbox", None)
    with pytest.raises(SweepError, match=r"^the attack needs Foolbox: pip install .*attack\]$"):
        attacked.attack(digits, EIGHT, 2, 0)
    monkeypatch.setattr(attacked, "N_ATTACKED", 500)
    with pytest.raises(SweepError, match=r"^\d+ test images of class 8 are recognised: 500 are needed$"):
        attacked.attack(digits, EIGHT, 2, 0)
