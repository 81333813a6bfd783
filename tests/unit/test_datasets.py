"""Which data a chapter gets, and what its banner says."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from adlib import data
from adlib.companion import datasets


@pytest.fixture(autouse=True)
def nothing_at_hand(tmp_path, monkeypatch):
    monkeypatch.delenv("ADLIB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(data, "checkout_data", lambda: None)


def test_auto_takes_digits_where_the_papers_set_is_not_at_hand():
    assert datasets.choose("auto", "mnist").name == "digits"


def test_auto_takes_the_papers_set_where_it_is_at_hand(monkeypatch):
    monkeypatch.setattr(data, "load", lambda name: f"<{name}>")
    assert datasets.choose("auto", "mnist") == "<mnist>"


def test_a_named_set_is_taken_or_missed():
    assert datasets.choose("digits", "mnist").name == "digits"
    with pytest.raises(data.DataNotFound, match="fetch mnist"):
        datasets.choose("mnist", "mnist")
    with pytest.raises(data.DataError, match="unknown data set 'nosuch'"):
        datasets.choose("nosuch", "mnist")


def test_auto_does_not_hide_a_wrong_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("ADLIB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(data.DataError, match="is not a folder"):
        datasets.choose("auto", "mnist")


def test_auto_does_not_hide_a_damaged_file(tmp_path, monkeypatch):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (raw / f"{part}-{kind}-ubyte").write_bytes(b"\0\0\x08\x01")
    monkeypatch.setenv("ADLIB_DATA", str(tmp_path))
    with pytest.raises(data.DataError, match="train-images-idx3-ubyte"):
        datasets.choose("auto", "mnist")


def test_banner():
    digits = data.load("digits")
    stand_in = datasets.banner(digits, "mnist")
    assert stand_in.startswith("> **Stand-in data.**")
    assert digits.label in stand_in and "fetch mnist" in stand_in
    assert "fetch" not in datasets.banner(digits, "gtsrb")  # it has no public file
    assert datasets.banner(digits, "digits") == ""

    jpeg = dataclasses.replace(digits, name="cifar10", label="CIFAR-10 (JPEG-75)", exact=False)
    assert "CIFAR-10 (JPEG-75)" in datasets.banner(jpeg, "cifar10")
    assert datasets.banner(dataclasses.replace(jpeg, exact=True), "cifar10") == ""


def test_draw_is_seeded_ascending_and_takes_all_for_zero_or_too_many():
    one, again, other = (datasets.draw(100, 10, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert len(set(one)) == 10 and np.array_equal(one, np.sort(one)) and 0 <= one[0] and one[-1] < 100
    assert all(np.array_equal(datasets.draw(5, n, 0), np.arange(5)) for n in (0, 5, 6))


def test_generated_rows_have_a_label_and_a_fingerprint_of_their_values():
    x = np.arange(6.0).reshape(3, 2)
    one, again, other = (datasets.generated("a curve", rows) for rows in (x, x.copy(), x + 1))
    assert one.label == "a curve" and one.exact and one.fingerprint == again.fingerprint != other.fingerprint
    assert len(one.fingerprint) == 64 and one.y_train.tolist() == [0, 0, 0]
    labelled = datasets.generated("a curve", x, np.array([False, True, True]))
    assert labelled.y_train.tolist() == [0, 1, 1] and labelled.fingerprint != one.fingerprint


def test_several_sets_together_have_all_labels_and_a_fingerprint_of_all():
    one, other = (datasets.generated(name, np.eye(2) * k) for k, name in ((1, "a"), (2, "b")))
    both = datasets.together([one, other])
    assert (both.label, both.exact) == ("a, b", True)
    assert len({both.fingerprint, datasets.together([other, one]).fingerprint, one.fingerprint}) == 3
    assert not datasets.together([one, dataclasses.replace(other, exact=False)]).exact


def test_a_folder_of_images_becomes_two_classes_halved_and_squeezed_to_the_size(tmp_path):
    for kind, level in (("nominal", 40), ("anomalous", 200)):
        (tmp_path / kind).mkdir()
        for i in range(7):
            image = np.full((30, 50, 3), level + i, np.uint8)
            image[15:, :25] = 0  # the lower left quarter
            Image.fromarray(image).save(tmp_path / kind / f"{i}.{'PNG' if i else 'png'}")
        (tmp_path / kind / "notes.txt").write_text("no image")
    ds = datasets.from_folder(tmp_path, 32, seed=1)
    assert ds.classes == ("nominal", "anomalous") and not ds.exact and ds.label == f"images in {tmp_path.name}"
    assert ds.x_train.shape == (6, 3, 32, 32) and ds.x_test.shape == (8, 3, 32, 32) and ds.x_train.dtype == np.uint8
    np.testing.assert_array_equal(ds.y_train, [0] * 3 + [1] * 3)
    np.testing.assert_array_equal(ds.y_test, [0] * 4 + [1] * 4)
    x, y = np.concatenate([ds.x_train, ds.x_test]), np.concatenate([ds.y_train, ds.y_test])
    for label, level in ((0, 40), (1, 200)):
        assert sorted(x[y == label][:, 0, 0, 0]) == [level + i for i in range(7)]
    assert not x[:, :, 18:, :14].any() and x[:, :, 18:, 18:].all()
    assert (ds.x_train != datasets.from_folder(tmp_path, 32, seed=2).x_train).any()


def test_a_folder_without_enough_images_is_one_sentence(tmp_path):
    with pytest.raises(data.DataError, match=r"nominal has 0 images \(.png, .jpg, .jpeg\): at least 4 are needed$"):
        datasets.from_folder(tmp_path, 32)
