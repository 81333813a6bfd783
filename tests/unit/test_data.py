"""Readers on small generated files, search order, splits, downloads from a local server; real sets where given."""

import dataclasses
import gzip
import hashlib
import io
import os
import pickle
import string
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from adlib import _fetch, data

REAL = os.environ.get("ADLIB_DATA")
needs_real = pytest.mark.skipif(not REAL, reason="ADLIB_DATA names no folder of real data")


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """No data but what the test makes: an empty checkout and an empty user cache."""
    monkeypatch.delenv("ADLIB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(data, "checkout_data", lambda: tmp_path / "checkout" / "data")


# --------------------------------------------------------------------------------------------- small files of each kind


def idx_bytes(a):
    return b"\0\0\x08" + bytes([a.ndim]) + b"".join(n.to_bytes(4, "big") for n in a.shape) + a.tobytes()


def write_idx(folder, name="MNIST", prefix="", test="t10k", gz=False, labels=10, seed=0):
    """Four files as torchvision lays them out; returns the arrays in them."""
    rng = np.random.default_rng(seed)
    raw = folder / name / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    arrays = []
    for part, n in (("train", 30), (test, 20)):
        images, y = rng.integers(0, 256, (n, 28, 28), np.uint8), (np.arange(n) % labels).astype(np.uint8)
        for kind, a in (("images-idx3", images), ("labels-idx1", y)):
            content = idx_bytes(a)
            path = raw / f"{prefix}{part}-{kind}-ubyte{'.gz' if gz else ''}"
            path.write_bytes(gzip.compress(content, mtime=0) if gz else content)
        arrays += [images, y]
    return arrays


def jpegs(images):
    """Arrays `jpeg` and `offsets`, and the pixels that the JPEG files decode to."""
    from PIL import Image

    files, pixels = [], []
    for image in images:
        out = io.BytesIO()
        Image.fromarray(image).save(out, "JPEG", quality=90)
        files.append(out.getvalue())
        pixels.append(np.asarray(Image.open(io.BytesIO(files[-1]))))
    offsets = np.cumsum([0, *map(len, files)]).astype(np.uint32)
    return {"jpeg": np.frombuffer(b"".join(files), np.uint8), "offsets": offsets}, np.stack(pixels)


def save(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


def pixels(n, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)


# --------------------------------------------------------------------------------------------------------- readers


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_idx_sets(tmp_path, name, folder, gz):
    x_train, y_train, x_test, y_test = write_idx(tmp_path, folder, gz=gz)
    ds = data.load(name, tmp_path)
    np.testing.assert_array_equal(ds.x_train, x_train[:, None])
    np.testing.assert_array_equal(ds.y_test, y_test)
    np.testing.assert_array_equal(ds.x_test, x_test[:, None])
    np.testing.assert_array_equal(ds.y_train, y_train)
    assert (ds.x_train.dtype, ds.y_train.dtype) == (np.uint8, np.int64)
    assert len(ds.classes) == 10 and ds.x_train.flags.writeable and ds.x_train.flags.c_contiguous
    assert not ds.exact and ds.label.endswith(", altered")  # these are not the published pixels


def test_emnist_is_upright_and_its_labels_start_at_zero(tmp_path):
    x_train, y_train, x_test, y_test = write_idx(tmp_path, "EMNIST", "emnist-letters-", "test", gz=True)
    raw = tmp_path / "EMNIST" / "raw"
    for part, y in (("train", y_train), ("test", y_test)):
        content = gzip.compress(idx_bytes((y + 1).astype(np.uint8)))
        (raw / f"emnist-letters-{part}-labels-idx1-ubyte.gz").write_bytes(content)
    ds = data.load("emnist_letters", tmp_path)
    np.testing.assert_array_equal(ds.x_train[:, 0], np.stack([image.T for image in x_train]))
    np.testing.assert_array_equal(ds.x_test[:, 0], np.stack([image.T for image in x_test]))
    np.testing.assert_array_equal(ds.y_train, y_train)
    assert ds.classes == tuple(string.ascii_uppercase)


def test_cifar10_from_jpeg_says_so(tmp_path):
    train, x_train = jpegs(pixels(6, 32, 32, 3))
    test, x_test = jpegs(pixels(4, 32, 32, 3, seed=1))
    names = np.array(list("abcdefghij"))
    save(tmp_path / "cifar10/cifar10_jpeg75_train.npz", labels=np.arange(6, dtype=np.uint8), class_names=names, **train)
    save(tmp_path / "cifar10/cifar10_jpeg75_test.npz", labels=np.arange(4, dtype=np.uint8), class_names=names, **test)
    ds = data.load("cifar10", tmp_path)
    assert (ds.label, ds.exact, ds.classes) == ("CIFAR-10 (JPEG-75)", False, tuple("abcdefghij"))
    np.testing.assert_array_equal(ds.x_train, x_train.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(ds.x_test, x_test.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(ds.y_test, np.arange(4))


def write_cifar_batches(folder, monkeypatch):
    """The seven files of the published archive in small, with torchvision's table of md5s changed to theirs."""
    from torchvision.datasets import CIFAR10

    folder.mkdir(parents=True)
    md5s = {}
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        content = pickle.dumps({"data": pixels(2, 3072, seed=i), "labels": [i, 9]})
        (folder / name).write_bytes(content)
        md5s[name] = hashlib.md5(content).hexdigest()
    meta = pickle.dumps({"label_names": list("abcdefghij")})
    (folder / "batches.meta").write_bytes(meta)
    monkeypatch.setattr(CIFAR10, "train_list", [[k, v] for k, v in md5s.items() if k != "test_batch"])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5s["test_batch"]]])
    meta_entry = {"filename": "batches.meta", "key": "label_names", "md5": hashlib.md5(meta).hexdigest()}
    monkeypatch.setattr(CIFAR10, "meta", meta_entry)


def test_published_cifar10_comes_first_and_is_exact(tmp_path, monkeypatch):
    write_cifar_batches(tmp_path / "cifar-10-batches-py", monkeypatch)
    save(tmp_path / "cifar10/cifar10_jpeg75_train.npz", labels=np.zeros(1))
    save(tmp_path / "cifar10/cifar10_jpeg75_test.npz", labels=np.zeros(1))
    ds = data.load("cifar10", tmp_path)
    assert (ds.label, ds.exact) == ("CIFAR-10", True)
    np.testing.assert_array_equal(ds.x_train[2:4], pixels(2, 3072, seed=1).reshape(2, 3, 32, 32))
    np.testing.assert_array_equal(ds.y_train, [0, 9, 1, 9, 2, 9, 3, 9, 4, 9])
    np.testing.assert_array_equal(ds.x_test, pixels(2, 3072, seed=5).reshape(2, 3, 32, 32))


def test_a_changed_cifar10_pickle_is_not_opened(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar_batches(folder, monkeypatch)
    (folder / "data_batch_3").write_bytes(pickle.dumps(print))
    with pytest.raises(data.DataError, match="cifar-10-batches-py cannot be read"):
        data.load("cifar10", tmp_path)


def test_natural_oe32(tmp_path):
    packed, x = jpegs(pixels(5, 32, 32, 3))
    wnid = np.array(["n1", "n1", "n2", "n3_ship", "zigzagged"])
    save(tmp_path / "natural_oe/natural_oe32_jpeg75.npz", source=np.array([0, 0, 0, 1, 2], np.uint8),
         source_names=np.array(["imagenette", "imagenet_sample", "dtd"]), class_of_image=wnid, **packed)  # fmt: skip
    ds = data.load("natural_oe32", tmp_path)
    np.testing.assert_array_equal(ds.x_train, x.transpose(0, 3, 1, 2))
    assert (ds.exact, ds.classes, ds.x_test.shape) == (False, ("imagenette", "imagenet_sample", "dtd"), (0, 3, 32, 32))
    np.testing.assert_array_equal(ds.y_train, [0, 0, 0, 1, 2])
    np.testing.assert_array_equal(ds.extra["class_of_image"], wnid)


def test_imagenette64(tmp_path):
    for part, n in (("train", 4), ("val", 3)):
        packed, _ = jpegs(pixels(n, 64, 64, 3))
        labels = {
            "labels": np.arange(n, dtype=np.uint8),
            "wnids": np.array(["n1"]),
            "class_names": np.array(list("abcd")),
        }
        save(tmp_path / f"natural_oe/imagenette64_{part}.npz", **labels, **packed)
    ds = data.load("imagenette64", tmp_path)
    assert (ds.x_train.shape, ds.x_test.shape, ds.classes) == ((4, 3, 64, 64), (3, 3, 64, 64), tuple("abcd"))
    assert (ds.label, ds.exact) == ("Imagenette 64x64 (JPEG-90)", False)


def test_magnetic_tile(tmp_path):
    packed, x = jpegs(pixels(3, 16, 16))
    masks = pixels(3, 16, 16, seed=2) > 200
    save(tmp_path / "magnetic_tile/magnetic_tile_256.npz", masks_packed=np.packbits(masks, axis=-1),
         labels=np.array([0, 1, 1], np.uint8), class_names=np.array(["Free", "Blowhole"]), group=np.array([7, 7, 9]),
         files=np.array(["a", "b", "c"]), original_size_wh=np.zeros((3, 2)), **packed)  # fmt: skip
    ds = data.load("magnetic_tile", tmp_path)
    np.testing.assert_array_equal(ds.x_train, x[:, None])
    np.testing.assert_array_equal(ds.extra["masks"], masks)
    np.testing.assert_array_equal(ds.extra["group"], [7, 7, 9])
    assert (ds.classes, len(ds.x_test), ds.exact) == (("Free", "Blowhole"), 0, False)


def test_gtsrb(tmp_path):
    train, test = pixels(4, 32, 32, 3), pixels(3, 32, 32, 3, seed=1)
    save(tmp_path / "gtsrb/gtsrb32_stop_signs_plus.npz", train_images=train, test_images=test,
         train_labels=np.array([14, 14, 0, 42], np.uint8), test_labels=np.array([14, 1, 2], np.uint8))  # fmt: skip
    ds = data.load("gtsrb", tmp_path)
    np.testing.assert_array_equal(ds.x_train, train.transpose(0, 3, 1, 2))
    assert (len(ds.classes), ds.classes[14], ds.exact) == (43, "stop", False)


@pytest.mark.parametrize("name", ["thyroid", "arrhythmia"])
def test_odds_sets_have_all_rows_in_the_training_part(tmp_path, name):
    from scipy.io import savemat

    x, y = np.random.default_rng(0).normal(size=(9, 4)), np.arange(9) % 3 == 0
    (tmp_path / "tabular").mkdir()
    savemat(tmp_path / f"tabular/{name}.mat", {"X": x, "y": y[:, None].astype(float)})
    ds = data.load(name, tmp_path)
    np.testing.assert_array_equal(ds.x_train, x)
    np.testing.assert_array_equal(ds.y_train, y)
    assert (ds.x_train.dtype, ds.x_test.shape, ds.y_test.shape) == (np.float64, (0, 4), (0,))
    assert ds.classes == ("normal", "anomaly")


def test_abalone_keeps_the_rings_that_drocc_uses(tmp_path):
    (tmp_path / "tabular").mkdir()
    rows = [("M", 8), ("F", 21), ("I", 5), ("I", 3), ("F", 10), ("M", 11), ("M", 9)]
    text = "".join(f"{sex},.1,.2,.3,.4,.5,.6,.7,{rings}\n" for sex, rings in rows)
    (tmp_path / "tabular/abalone.data").write_text(text)
    ds = data.load("abalone", tmp_path)
    np.testing.assert_array_equal(ds.extra["rings"], [8, 21, 3, 10, 9])
    np.testing.assert_array_equal(ds.y_train, [0, 1, 1, 0, 0])
    np.testing.assert_array_equal(ds.x_train[:, 0], [0, 1, 2, 1, 0])  # M, F, I
    np.testing.assert_array_equal(ds.x_train[0], [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


def test_adbench(tmp_path):
    x = pixels(5, 3)
    save(tmp_path / "tabular/adbench_classical20.npz", wine_X=x, wine_y=np.array([0, 0, 1, 0, 1], np.uint8),
         glass_X=x, glass_y=np.zeros(5))  # fmt: skip
    ds = data.load("adbench/wine", tmp_path)
    assert (ds.name, ds.label, ds.x_train.dtype) == ("adbench/wine", "ADBench wine", np.float64)
    np.testing.assert_array_equal(ds.x_train, x)
    with pytest.raises(data.DataError, match="'adbench/beer': must be adbench/ and one of wine, glass"):
        data.load("adbench/beer", tmp_path)


def test_digits_need_nothing(monkeypatch):
    monkeypatch.setenv("ADLIB_DATA", "/nowhere")
    ds = data.load("digits")
    assert (ds.label, ds.exact) == ("scikit-learn digits (8x8, bilinear to 32x32)", True)
    assert ds.x_train.shape[1:] == (1, 32, 32) and len(ds.x_train) + len(ds.x_test) == 1797
    shares = np.bincount(ds.y_test) / np.bincount(np.r_[ds.y_train, ds.y_test])
    assert np.abs(shares - 1 / 3).max() < 0.01  # a third of each class
    assert data.fingerprint("digits") == ds.fingerprint


def test_digits_are_bilinear():
    import torch
    from sklearn.datasets import load_digits

    small, y = load_digits(return_X_y=True)
    small = torch.tensor(small).reshape(-1, 1, 8, 8) * (255 / 16)
    big = torch.nn.functional.interpolate(small, size=(32, 32), mode="bilinear", align_corners=False)
    ds = data.load("digits")
    for k in range(10):  # train and test keep the order within a class
        ours = np.concatenate([ds.x_train[ds.y_train == k], ds.x_test[ds.y_test == k]])
        assert np.abs(ours - big[torch.tensor(y == k)].numpy()).max() <= 0.5
    assert ds.x_train.max() == 255


# ------------------------------------------------------------------------------------------------- bad files and names


def damage(path, how):
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    else:
        path.write_bytes(content[:20] + bytes(255 - b for b in content[20:60]) + content[60:])


@pytest.mark.parametrize("how", ["truncated", "empty", "corrupted"])
@pytest.mark.parametrize("kind", ["idx.gz", "npz", "mat", "jpeg"])
def test_a_damaged_file_is_one_sentence_that_names_it(tmp_path, kind, how):
    if kind == "idx.gz":
        write_idx(tmp_path, gz=True)
        name, path = "mnist", tmp_path / "MNIST/raw/t10k-images-idx3-ubyte.gz"
    elif kind == "npz":
        name, path = "adbench/wine", tmp_path / "tabular/adbench_classical20.npz"
        save(path, wine_X=pixels(50, 3), wine_y=np.zeros(50))
    elif kind == "jpeg":
        name, path = "natural_oe32", tmp_path / "natural_oe/natural_oe32_jpeg75.npz"
        packed, _ = jpegs(pixels(2, 32, 32, 3))
        cut = {"truncated": packed["jpeg"][: packed["jpeg"].size // 2], "empty": packed["jpeg"][:0]}
        packed["jpeg"] = cut.get(how, packed["jpeg"] ^ 255)
        save(path, source=np.zeros(2), source_names=np.array(["a"]), class_of_image=np.array(["a", "b"]), **packed)
    else:
        from scipy.io import savemat

        name, path = "thyroid", tmp_path / "tabular/thyroid.mat"
        path.parent.mkdir()
        savemat(path, {"X": np.ones((9, 3)), "y": np.zeros((9, 1))}, do_compression=True)
    if kind == "mat" and how == "corrupted":
        path.write_bytes(path.read_bytes()[:130] + b"\xff" * 40)  # the first 128 bytes are a comment
    elif kind != "jpeg":
        damage(path, how)
    with pytest.raises(data.DataError) as caught:
        data.load(name, tmp_path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not isinstance(caught.value, data.DataNotFound)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:-1], "15679 bytes follow a header that announces 15680"),
        (lambda b: b + b"x", "15681 bytes follow a header that announces 15680"),
        (lambda b: b"\0\0\x0d" + b[3:], "it is not an idx file of bytes"),
        (lambda b: b[:9], "cannot be read"),
    ],
)
def test_an_unpacked_idx_file_must_have_the_length_that_it_announces(tmp_path, change, message):
    write_idx(tmp_path)
    path = tmp_path / "MNIST/raw/t10k-images-idx3-ubyte"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(data.DataError, match=message):
        data.load("mnist", tmp_path)


def test_labels_must_fit_the_rows(tmp_path):
    write_idx(tmp_path)
    path = tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte"
    for labels in (np.zeros(19, np.uint8), np.full(20, 10, np.uint8)):
        path.write_bytes(idx_bytes(labels))
        with pytest.raises(data.DataError, match="the test part is not 20 rows with one of 10 labels each"):
            data.load("mnist", tmp_path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mnst", "did you mean 'mnist'"),
        ("Fashion-MNIST", "did you mean 'fashion_mnist'"),
        ("zzz", "unknown data set 'zzz': must be one of"),
        ("adbench/", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_unknown_name(name, hint):
    with pytest.raises(data.DataError, match=hint) as caught:
        data.load(name)
    assert "mnist, fashion_mnist" in str(caught.value)


def test_an_error_in_a_notebook_is_one_line():
    with pytest.raises(data.DataError) as caught:
        data.load("mnst")
    assert caught.value._render_traceback_() == [f"DataError: {caught.value}"]


# ------------------------------------------------------------------------------------------------------- search order


def test_search_order(tmp_path, monkeypatch):
    folders = [tmp_path / "root", tmp_path / "env", tmp_path / "checkout/data", tmp_path / "cache/adlib-companion"]
    for seed, folder in enumerate(folders):
        write_idx(folder, seed=seed)
    monkeypatch.setenv("ADLIB_DATA", str(folders[1]))
    for folder in folders:
        root = folder if folder == folders[0] else None
        assert data.where("mnist", root) == folder / "MNIST/raw"
        first = data.load("mnist", root).x_train[0, 0]
        np.testing.assert_array_equal(first, write_idx(folder, seed=folders.index(folder))[0][0])
        for path in (folder / "MNIST/raw").iterdir():
            path.unlink()
        (folder / "something-else").touch()
    with pytest.raises(data.DataNotFound) as caught:
        data.load("mnist", folders[0])
    assert all(str(folder) in str(caught.value) for folder in folders)
    assert "run: python -m adlib.data fetch mnist" in str(caught.value)


@pytest.mark.parametrize("state", ["missing", "empty", "a file"])
def test_adlib_data_must_be_a_folder_with_data(tmp_path, monkeypatch, state):
    folder = tmp_path / "mine"
    if state == "empty":
        folder.mkdir()
    elif state == "a file":
        folder.touch()
    monkeypatch.setenv("ADLIB_DATA", str(folder))
    write_idx(tmp_path / "checkout/data")
    with pytest.raises(data.DataError, match=f"ADLIB_DATA={folder} is") as caught:
        data.load("mnist")
    assert not isinstance(caught.value, data.DataNotFound)


def test_an_empty_value_of_adlib_data_is_no_value(tmp_path, monkeypatch):
    monkeypatch.setenv("ADLIB_DATA", "")
    write_idx(tmp_path / "checkout/data")
    assert data.where("mnist") == tmp_path / "checkout/data/MNIST/raw"


def test_a_part_of_a_set_is_not_the_set(tmp_path):
    write_idx(tmp_path)
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(data.DataNotFound, match="holds a part of it, but not MNIST/raw/t10k-labels-idx1-ubyte"):
        data.load("mnist", tmp_path)


def test_a_set_without_a_public_file_says_so(tmp_path):
    with pytest.raises(data.DataNotFound, match="no public file of it to fetch"):
        data.load("gtsrb")


# ------------------------------------------------------------------------------------------------------- fingerprints


def test_fingerprint_is_of_the_arrays_not_of_the_files(tmp_path):
    write_idx(tmp_path / "plain")
    write_idx(tmp_path / "zipped", gz=True)
    write_idx(tmp_path / "other", seed=1)
    plain, zipped, other = (data.load("mnist", tmp_path / d).fingerprint for d in ("plain", "zipped", "other"))
    assert plain == zipped != other
    assert len(plain) == 64


def test_fingerprint_by_hand():
    a, b = np.arange(6, dtype=np.int64).reshape(2, 3), np.array(["x", "yz"])
    by_hand = hashlib.sha256(b"a <i8 (2, 3)\n" + a.tobytes() + b"b <U2 (2,)\n" + b.tobytes()).hexdigest()
    assert data.digest({"b": b, "a": a}) == by_hand
    assert data.digest({"b": b, "a": a.reshape(3, 2)}) != by_hand
    assert data.digest({"b": b, "c": a}) != by_hand
    assert data.digest({"b": b, "a": a.T.copy().T}) == by_hand  # memory order is no content


def test_fingerprint_is_remembered_until_a_file_changes(tmp_path, monkeypatch):
    write_idx(tmp_path)
    first = data.fingerprint("mnist", tmp_path)
    assert first == data.load("mnist", tmp_path).fingerprint
    with monkeypatch.context() as m:
        m.setattr(data, "digest", lambda arrays: pytest.fail("computed again"))
        assert data.fingerprint("mnist", tmp_path) == first
        m.setattr(data, "load", lambda *a: pytest.fail("read again"))
        assert data.fingerprint("mnist", tmp_path) == first
    write_idx(tmp_path, seed=1)
    os.utime(tmp_path / "MNIST/raw/train-images-idx3-ubyte", ns=(0, 1))  # whatever the clock's resolution
    assert data.fingerprint("mnist", tmp_path) != first


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path, monkeypatch):
    write_idx(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert data.load("mnist", tmp_path).fingerprint == data.fingerprint("mnist", tmp_path)


# -------------------------------------------------------------------------------------------------------- one-vs-rest


@pytest.fixture
def toy():
    x, y = pixels(12, 1, 2, 2), np.arange(12) % 4
    none = dict(name="toy", label="toy", exact=True, fingerprint="", classes=tuple("abcd"))
    return data.Dataset(**none, x_train=x, y_train=y, x_test=x[::-1].copy(), y_test=y[::-1].copy())


@pytest.mark.parametrize(
    ("normal", "anomaly", "kept"),
    [
        (1, None, {0, 1, 2, 3}),
        (1, 2, {1, 2}),
        ([0, 3], None, {0, 1, 2, 3}),
        ((0, 3), [1], {0, 1, 3}),
        (np.int64(1), 2, {1, 2}),
    ],
)
def test_one_vs_rest(toy, normal, anomaly, kept):
    split = data.one_vs_rest(toy, normal, anomaly)
    normals = set(np.atleast_1d(normal).tolist())
    rows = [i for i, label in enumerate(toy.y_train) if label in normals]
    np.testing.assert_array_equal(split.x_train, toy.x_train[rows])
    rows = [i for i, label in enumerate(toy.y_test) if label in kept]
    np.testing.assert_array_equal(split.x_test, toy.x_test[rows])
    np.testing.assert_array_equal(split.y_test, [int(toy.y_test[i] not in normals) for i in rows])
    assert split.y_test.dtype == np.int64
    split.x_train[:] = 0
    assert toy.x_train.any()  # a copy


@pytest.mark.parametrize(
    ("normal", "anomaly", "message"),
    [
        (4, None, "normal=4 of toy: must be one or more of its classes 0 to 3"),
        (-1, None, "normal=-1"),
        ([], None, r"normal=\[\]"),
        (1.5, None, "normal=1.5"),
        ("a", None, "normal='a'"),
        (1, 9, "anomaly=9"),
        (1, [1, 2], "must be different classes"),
        ([0, 1, 2, 3], None, "at least one of each"),
    ],
)
def test_one_vs_rest_refuses(toy, normal, anomaly, message):
    with pytest.raises(data.DataError, match=message):
        data.one_vs_rest(toy, normal, anomaly)


def test_one_vs_rest_needs_a_test_part(toy):
    with pytest.raises(data.DataError, match="toy has no test part of its own"):
        data.one_vs_rest(dataclasses.replace(toy, x_test=toy.x_test[:0], y_test=toy.y_test[:0]), 0)


def test_pad():
    x = pixels(3, 2, 28, 28)
    out = data.pad(x, 32)
    np.testing.assert_array_equal(out, np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2))))
    assert out.dtype == x.dtype
    np.testing.assert_array_equal(
        data.pad(x[:, :, :, :25], 28), np.pad(x[:, :, :, :25], ((0, 0), (0, 0), (0, 0), (1, 2)))
    )
    np.testing.assert_array_equal(data.pad(x, 28), x)
    for bad in (x[0], x[:, :, :0].reshape(-1)):
        with pytest.raises(data.DataError, match="must be"):
            data.pad(bad, 32)
    with pytest.raises(data.DataError, match="with h and w at most 27"):
        data.pad(x, 27)


def test_flip_and_rotate_by_nothing_keeps_or_mirrors_each_image():
    x = pixels(200, 2, 9, 7)
    before = x.copy()
    x.flags.writeable = False
    out = data.flip_and_rotate(x, 0, 3)
    assert out.shape == x.shape and out.dtype == np.uint8
    kept = np.array([np.array_equal(a, b) for a, b in zip(out, x, strict=True)])
    mirrored = np.array([np.array_equal(a, b[:, :, ::-1]) for a, b in zip(out, x, strict=True)])
    assert (kept ^ mirrored).all() and 70 < mirrored.sum() < 130
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("degrees", [0, 30])
def test_flip_and_rotate_depends_on_the_seed_alone(degrees):
    x = pixels(40, 1, 8, 8)
    one = data.flip_and_rotate(x, degrees, [5, 0])
    np.testing.assert_array_equal(one, data.flip_and_rotate(x, degrees, [5, 0]))
    assert all((one != data.flip_and_rotate(x, degrees, seed)).any() for seed in ([5, 1], [6, 0]))


class Fixed:
    """A generator that mirrors no image and turns each by the largest angle."""

    def random(self, n):
        return np.full(n, 0.9)

    def uniform(self, low, high, n):
        assert low == -high
        return np.full(n, high)


@pytest.mark.parametrize("quarters", [1, 2])
def test_flip_and_rotate_by_quarter_turns_is_numpys(monkeypatch, quarters):
    x = pixels(3, 2, 8, 8)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Fixed())
    np.testing.assert_array_equal(data.flip_and_rotate(x, 90 * quarters, 0), np.rot90(x, quarters, axes=(2, 3)))


def test_flip_and_rotate_mirrors_the_border(monkeypatch):
    x = np.full((1, 1, 20, 20), 200, np.uint8)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Fixed())
    np.testing.assert_array_equal(data.flip_and_rotate(x, 30, 0), x)  # no corner turns dark


def test_contaminate_hides_rows_of_the_other_classes_behind_the_normal_ones():
    ds = data.load("digits")
    x = ds.x_train[ds.y_train == 8]
    out = data.contaminate(x, ds, 8, 0.1, seed=3)
    n = round(0.1 * len(x))
    assert n > 5 and len(out) == len(x) + n
    np.testing.assert_array_equal(out[: len(x)], x)
    classes = [{int(k) for k in ds.y_train[(ds.x_train == row).all((1, 2, 3))]} for row in out[len(x) :]]
    assert all(k and 8 not in k for k in classes) and len(set().union(*classes)) > 3
    assert len({row.tobytes() for row in out[len(x) :]}) == n  # none twice
    np.testing.assert_array_equal(out, data.contaminate(x, ds, [8], 0.1, seed=3))
    assert (out[len(x) :] != data.contaminate(x, ds, 8, 0.1, seed=4)[len(x) :]).any()
    np.testing.assert_array_equal(data.contaminate(x, ds, 8, 0.0, seed=3), x)


@pytest.mark.parametrize("share", [-0.1, 1000.0])
def test_contaminate_needs_a_share_that_can_be_had(share):
    ds = data.load("digits")
    with pytest.raises(data.DataError, match=f"share={share}: .* of 0 to [0-9]+ that digits has"):
        data.contaminate(ds.x_train[:50], ds, 8, share, seed=0)


def test_normalize_contrast_by_hand():
    train = np.array([[[[0, 4]]], [[[10, 30]]], [[[7, 7]]]], np.uint8)
    test = np.array([[[[8, 0]]], [[[0, 255]]]], np.uint8)
    x, y = data.normalize_contrast(train, test)
    np.testing.assert_allclose(x[:, 0, 0], [[0, 1], [0, 1], [0.5, 0.5]])  # -1, 1; -1, 1; the flat one 0, 0
    np.testing.assert_allclose(y[:, 0, 0], [[1, 0], [0, 1]])
    assert x.dtype == y.dtype == np.float32 and train[1, 0, 0, 1] == 30


def test_normalize_contrast_gives_each_image_the_same_and_scales_by_the_training_pixels():
    train, test = pixels(20, 3, 8, 8), pixels(30, 3, 8, 8) // 3
    x, y = data.normalize_contrast(train, test)
    assert x.min() == 0 and x.max() == pytest.approx(1)
    for images in (x, y):  # one mean and one mean absolute deviation for all
        mean = images.mean((1, 2, 3))
        spread = np.abs(images - mean[:, None, None, None]).mean((1, 2, 3))
        assert np.ptp(mean) < 1e-5 and np.ptp(spread) < 1e-5 and spread[0] > 0.05
    np.testing.assert_allclose(data.normalize_contrast(train, train // 2 * 2)[0], x)  # the test part changes nothing


def test_normalize_contrast_needs_contrast():
    with pytest.raises(data.DataError, match="every training image is of one colour"):
        data.normalize_contrast(np.full((3, 1, 4, 4), 9, np.uint8), np.zeros((1, 1, 4, 4), np.uint8))


def table_of(normal, anomalies):
    x = np.arange(2.0 * (normal + anomalies)).reshape(-1, 2)
    y = np.repeat([0, 1], [normal, anomalies])
    return data.Dataset("rows", "rows", True, "f", ("normal", "anomaly"), x, y, x[:0], y[:0])


@pytest.mark.parametrize("balanced, tested", [(True, 7), (False, 20)])
def test_split_rows_tests_all_anomalies_and_some_normal_rows(balanced, tested):
    ds = table_of(40, 7)
    split = data.split_rows(ds, 0, balanced)
    assert len(split.x_train) == 40 - tested and split.y_test.tolist() == [0] * tested + [1] * 7
    np.testing.assert_array_equal(split.x_test[split.y_test == 1], ds.x_train[40:])
    normal = np.concatenate([split.x_train, split.x_test[:tested]])
    np.testing.assert_array_equal(np.sort(normal[:, 0]), ds.x_train[:40, 0])  # each normal row once
    np.testing.assert_array_equal(split.x_test, data.split_rows(ds, 0, balanced).x_test)
    assert (split.x_test != data.split_rows(ds, 1, balanced).x_test).any()


def test_split_rows_refuses_what_it_cannot_split():
    with pytest.raises(data.DataError, match="too few to test on 9 of them"):
        data.split_rows(table_of(9, 9), 0, True)
    with pytest.raises(data.DataError, match="has a test part of its own"):
        data.split_rows(data.load("digits"), 0, True)


@pytest.mark.parametrize("c, size, height, width", [(1, 32, 7, 14), (3, 64, 14, 28), (1, 28, 7, 14), (3, 100, 21, 42)])
def test_a_stamp_is_the_same_mark_in_the_lower_left_and_nothing_else(c, size, height, width):
    x = np.random.default_rng(0).integers(0, 256, (40, c, size, size), np.uint8)
    before = x.copy()
    out, marked = data.stamp(x, 0.3, 5)
    assert marked.sum() == 12 and marked.dtype == bool and (x == before).all()
    np.testing.assert_array_equal(out[~marked], x[~marked])
    rows, cols = data.stamp_box(size)
    assert (rows, cols) == (slice(size - height, size), slice(0, width))
    box = out[marked][:, :, rows, cols]
    assert (box == box[:1, :1]).all() and set(np.unique(box)) == {0, 255}
    outside = np.ones((size, size), bool)
    outside[rows, cols] = False
    np.testing.assert_array_equal(out[:, :, outside], x[:, :, outside])


def test_a_larger_share_stamps_the_same_images_and_more():
    x = np.full((50, 1, 32, 32), 9, np.uint8)
    few, many, other = (data.stamp(x, share, seed)[1] for share, seed in ((0.2, 0), (0.5, 0), (0.2, 1)))
    assert few.sum() == 10 and many.sum() == 25 and (many[few]).all() and (few != other).any()
    assert not data.stamp(x, 0, 0)[1].any() and data.stamp(x, 1, 0)[1].all()


@pytest.mark.parametrize(
    "x, share, words",
    [
        (np.zeros((2, 1, 32, 32), np.uint8), 1.5, "share=1.5: must be from 0 to 1"),
        (np.zeros((2, 1, 32, 32)), 0.5, "x is float64 (2, 1, 32, 32): must be uint8"),
        (np.zeros((2, 1, 32, 30), np.uint8), 0.5, "(2, 1, 32, 30): must be uint8 (n, c, s, s)"),
        (np.zeros((2, 1, 8, 8), np.uint8), 0.5, "s at least 16"),
    ],
)
def test_a_stamp_that_cannot_be_is_one_sentence(x, share, words):
    with pytest.raises(data.DataError) as error:
        data.stamp(x, share, 0)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_sine_waves_lie_on_the_curve_or_displaced_from_it_to_both_sides():
    on, off = data.sine_wave(500, 0), data.sine_wave(500, 0, displaced=0.4)
    np.testing.assert_allclose(on[:, 1], np.sin(on[:, 0]))
    away = off[:, 1] - np.sin(off[:, 0])
    np.testing.assert_allclose(np.abs(away), 0.4)
    assert 200 < (away > 0).sum() < 300
    assert -np.pi < on[:, 0].min() < -3 and 3 < on[:, 0].max() < np.pi
    np.testing.assert_array_equal(on, data.sine_wave(500, 0))
    assert (on != data.sine_wave(500, 1)).all(axis=1).any()


def test_noisy_sine_is_a_sine_wave_and_noise():
    x = data.noisy_sine(2000, 3, displaced=0.5, d=6)
    np.testing.assert_array_equal(x[:, :2], data.sine_wave(2000, 3, displaced=0.5))
    assert x.shape == (2000, 6) and abs(x[:, 2:].mean()) < 0.05 and abs(x[:, 2:].std() - 1) < 0.05
    assert np.abs(np.corrcoef(x.T) - np.eye(6))[2:].max() < 0.1


# ---------------------------------------------------------------------------------------------------------- downloads


@pytest.fixture
def server(monkeypatch):
    """A local server; `served` maps a path to its content, and the paths /cut, /silent and /slow misbehave."""
    stop, served, asked = threading.Event(), {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path == "/silent":
                stop.wait(20)
                return
            if self.path not in served and self.path not in ("/cut", "/slow"):
                self.send_error(404)
                return
            content = served.get(self.path, b"x" * 50_000)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                if self.path == "/slow":
                    while not stop.wait(0.05):
                        self.wfile.write(b"x" * 1024)
                else:
                    self.wfile.write(content[:20_000] if self.path == "/cut" else content)
            except OSError:  # the client has gone
                pass

        def log_message(self, *args):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    http.url, http.served, http.asked = f"http://127.0.0.1:{http.server_port}", served, asked
    yield http
    stop.set()
    http.shutdown()
    http.server_close()
    thread.join()


def offer(monkeypatch, name, *sources):
    monkeypatch.setitem(_fetch.SOURCES, name, _fetch.Public(0.1, sources))


@pytest.fixture
def mnist_on_server(tmp_path, server, monkeypatch):
    write_idx(tmp_path / "origin", gz=True)
    sources = []
    for path in sorted((tmp_path / "origin/MNIST/raw").iterdir()):
        server.served[f"/{path.name}"] = content = path.read_bytes()
        checksum = "md5:" + hashlib.md5(content).hexdigest()
        sources.append(_fetch.Source(f"{server.url}/{path.name}", checksum, f"MNIST/raw/{path.name}"))
    offer(monkeypatch, "mnist", *sources)
    return sources


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_fetch_and_load(tmp_path, mnist_on_server, server):
    with pytest.raises(data.DataNotFound):
        data.load("mnist")
    ds = data.load("mnist", download=True)
    assert ds.fingerprint == data.load("mnist", tmp_path / "origin").fingerprint
    assert data.where("mnist") == tmp_path / "checkout/data/MNIST/raw"
    asked = len(server.asked)
    data.load("mnist", download=True)
    _fetch.fetch("mnist")
    assert len(server.asked) == asked == 4  # what is right already is not asked for again


def test_download_into_a_new_root(tmp_path, mnist_on_server):
    assert data.load("mnist", root=tmp_path / "new", download=True).x_train.shape == (30, 1, 28, 28)
    assert data.where("mnist", tmp_path / "new") == tmp_path / "new/MNIST/raw"


def test_outside_a_checkout_files_go_to_the_user_cache(tmp_path, mnist_on_server, monkeypatch):
    monkeypatch.setattr(data, "checkout_data", lambda: None)
    assert _fetch.fetch("mnist") == tmp_path / "cache/adlib-companion"
    data.load("mnist")


def test_fetch_completes_and_repairs(tmp_path, mnist_on_server, server):
    _fetch.fetch("mnist", to=tmp_path / "dl")
    raw = tmp_path / "dl/MNIST/raw"
    (raw / "t10k-labels-idx1-ubyte.gz").unlink()
    damage(raw / "train-images-idx3-ubyte.gz", "truncated")
    before = len(server.asked)
    _fetch.fetch("mnist", to=tmp_path / "dl")
    assert sorted(server.asked[before:]) == ["/t10k-labels-idx1-ubyte.gz", "/train-images-idx3-ubyte.gz"]
    data.load("mnist", tmp_path / "dl")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/wrong", "the file has a wrong checksum and was thrown away"),
        ("/cut", "the connection was cut"),
        ("/gone", "the server says 404 Not Found"),
        ("/silent", "no answer within 0.2 s"),
        ("/slow", "not complete after 0.3 s"),
    ],
)
def test_a_failed_download_is_one_sentence_and_leaves_nothing(tmp_path, server, monkeypatch, path, reason):
    server.served["/wrong"] = b"something else"
    checksum = hashlib.sha256(b"x" * 50_000).hexdigest()
    offer(monkeypatch, "thyroid", _fetch.Source(server.url + path, checksum, "tabular/thyroid.mat"))
    with pytest.raises(data.DataError) as caught:
        wait, total = (0.2 if path == "/silent" else 10), (0.3 if path == "/slow" else 60)
        _fetch.fetch("thyroid", to=tmp_path / "dl", wait=wait, total=total)
    assert str(caught.value) == f"thyroid was not fetched: {server.url}{path}: {reason}"
    assert not (tmp_path / "dl").exists()


def test_a_failed_download_keeps_what_was_there(tmp_path, server, monkeypatch):
    target = tmp_path / "dl/tabular/thyroid.mat"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"mine")
    offer(monkeypatch, "thyroid", _fetch.Source(server.url + "/cut", "0" * 64, "tabular/thyroid.mat"))
    with pytest.raises(data.DataError, match="the connection was cut"):
        _fetch.fetch("thyroid", to=tmp_path / "dl")
    assert target.read_bytes() == b"mine"
    assert files(tmp_path / "dl") == ["tabular", "tabular/thyroid.mat"]


def test_no_server(tmp_path, server, monkeypatch):
    server.shutdown()
    server.server_close()
    offer(monkeypatch, "thyroid", _fetch.Source(server.url + "/x", "0" * 64, "tabular/thyroid.mat"))
    with pytest.raises(data.DataError, match=r"/x: no connection$"):
        _fetch.fetch("thyroid", to=tmp_path / "dl")


def test_a_folder_that_cannot_be_written(tmp_path, mnist_on_server):
    (tmp_path / "file").touch()
    with pytest.raises(data.DataError, match="mnist was not fetched: .*file"):
        _fetch.fetch("mnist", to=tmp_path / "file")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives_are_unpacked_and_thrown_away(tmp_path, server, monkeypatch, kind):
    packed = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w") as z:
            z.writestr("in/a", b"A")
            z.writestr("in/other", b"")
    else:
        with tarfile.open(fileobj=packed, mode="w:gz") as t:
            for name, content in (("in/a", b"A"), ("in/other", b"")):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                t.addfile(info, io.BytesIO(content))
    content = server.served["/packed"] = packed.getvalue()
    checksum = hashlib.sha256(content).hexdigest()
    offer(monkeypatch, "cifar10", _fetch.Source(f"{server.url}/packed", checksum, f"packed.{kind}", {"in/a": "out/a"}))
    _fetch.fetch("cifar10", to=tmp_path / "dl")
    assert files(tmp_path / "dl") == ["out", "out/a"]
    assert (tmp_path / "dl/out/a").read_bytes() == b"A"
    offer(monkeypatch, "cifar10", _fetch.Source(f"{server.url}/packed", checksum, f"packed.{kind}", {"in/b": "out/b"}))
    with pytest.raises(data.DataError, match="cifar10 was not fetched"):
        _fetch.fetch("cifar10", to=tmp_path / "dl")


def test_the_table_of_sources_is_torchvisions():
    from torchvision.datasets import CIFAR10, EMNIST, MNIST, FashionMNIST

    for name, cls in (("mnist", MNIST), ("fashion_mnist", FashionMNIST)):
        ours = [(s.url, s.path) for s in _fetch.SOURCES[name].sources]
        assert ours == [(cls.mirrors[0] + file, f"{cls.__name__}/raw/{file}") for file, _ in cls.resources]
    assert [s.checksum for s in _fetch.SOURCES["mnist"].sources] == [f"md5:{md5}" for _, md5 in MNIST.resources]
    (cifar,) = _fetch.SOURCES["cifar10"].sources
    assert (cifar.url, cifar.checksum) == (CIFAR10.url, f"md5:{CIFAR10.tgz_md5}")
    (emnist,) = _fetch.SOURCES["emnist_letters"].sources
    assert (emnist.url, emnist.checksum) == (EMNIST.url, f"md5:{EMNIST.md5}")


def test_what_is_fetched_is_what_load_looks_for():
    for name, public in _fetch.SOURCES.items():
        paths = {p.removesuffix(".gz") for s in public.sources for p in (s.members.values() or [s.path])}
        assert paths == set(data.LAYOUTS[name][0].files)


# ------------------------------------------------------------------------------------------------------- command line


def test_fetch_small_goes_on_without_what_it_cannot_have(tmp_path, mnist_on_server, server, monkeypatch, capsys):
    offer(monkeypatch, "thyroid", _fetch.Source(server.url + "/gone", "0" * 64, "tabular/thyroid.mat"))
    monkeypatch.setattr(_fetch, "SMALL", ("thyroid", "mnist"))
    assert _fetch.main(["fetch", "--small"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "fetching thyroid, mnist: 0.2 MB"
    assert "404" in out[1] and out[2] == "thyroid: going on without it"
    assert out[3] == f"mnist: {tmp_path}/checkout/data"
    server.served.clear()
    asked = len(server.asked)
    assert _fetch.main(["fetch", "--small"]) == 0
    assert server.asked[asked:] == ["/gone"]  # mnist is at hand


def test_small_is_mnist_fashion_mnist_and_tabular():
    assert _fetch.SMALL == ("mnist", "fashion_mnist", "thyroid", "arrhythmia", "abalone")
    assert set(_fetch.SMALL) <= set(_fetch.SOURCES)


def test_fetch_by_name(tmp_path, mnist_on_server, server, monkeypatch, capsys):
    write_idx(tmp_path / "mine")  # other pixels would be no reason to stay without MNIST
    monkeypatch.setenv("ADLIB_DATA", str(tmp_path / "mine"))
    assert _fetch.main(["fetch", "mnist"]) == 0
    assert len(server.asked) == 4
    monkeypatch.setitem(data.PUBLISHED, "mnist", data.load("mnist").fingerprint)
    capsys.readouterr()
    assert _fetch.main(["fetch", "mnist"]) == 0
    assert capsys.readouterr().out == f"mnist: already in {tmp_path}/mine/MNIST/raw\n"
    assert _fetch.main(["fetch", "mnist", "--to", str(tmp_path / "there")]) == 0
    assert data.where("mnist", tmp_path / "there") == tmp_path / "there/MNIST/raw"


@pytest.mark.parametrize(
    ("names", "message"),
    [(["mnst"], "unknown data set 'mnst' (did you mean 'mnist'?)"), (["mnist", "gtsrb"], "gtsrb cannot be fetched"),
     (["digits"], "digits cannot be fetched")],
)  # fmt: skip
def test_fetch_refuses_before_it_downloads(mnist_on_server, server, capsys, names, message):
    assert _fetch.main(["fetch", *names]) == 1
    err = capsys.readouterr().err
    assert err.startswith(message) and err.count("\n") == 1
    assert server.asked == []


def test_a_failed_fetch_by_name_is_one_line_and_the_rest_is_fetched(mnist_on_server, server, monkeypatch, capsys):
    offer(monkeypatch, "thyroid", _fetch.Source(server.url + "/gone", "0" * 64, "tabular/thyroid.mat"))
    assert _fetch.main(["fetch", "thyroid", "mnist"]) == 1
    data.load("mnist")
    assert capsys.readouterr().err == f"thyroid was not fetched: {server.url}/gone: the server says 404 Not Found\n"


def test_list(tmp_path, capsys):
    write_idx(tmp_path / "checkout/data")
    assert _fetch.main(["list"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == set(data.NAMES)
    assert lines["mnist"] == f"at hand in {tmp_path}/checkout/data/MNIST/raw"
    assert lines["fashion_mnist"] == "not at hand; 30.9 MB to fetch"
    assert lines["gtsrb"] == "not at hand; there is no public file of it"
    assert lines["digits"] == "at hand in scikit-learn"


def test_the_command_imports_neither_torch_nor_sklearn(tmp_path):
    code = (
        "import sys, runpy; sys.argv = ['data', 'list']\n"
        "try: runpy.run_module('adlib.data', run_name='__main__')\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "print(sorted({'torch', 'torchvision', 'sklearn', 'scipy', 'PIL', 'pooch', 'pandas'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=os.getcwd())
    assert run.stdout.splitlines()[-1] == "[]", run.stderr


# ------------------------------------------------------------------------------------------------------------ real sets


def counts(y):
    return np.bincount(y).tolist()


def load_real(name):
    """The real set, or a skip where this folder lacks it: a reader may have any part of the sets, or none."""
    try:
        return data.load(name, REAL)
    except data.DataNotFound as error:
        pytest.skip(str(error))  # says which set; the other sets are tested all the same


@needs_real
@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("mnist", [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
         [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
        ("fashion_mnist", [6000] * 10, [1000] * 10),
        ("emnist_letters", [4800] * 26, [800] * 26),
        ("thyroid", [3679, 93], []),
        ("arrhythmia", [386, 66], []),
        ("abalone", [1891, 29], []),
        ("adbench/cardio", [1831 - 176, 176], []),
        ("magnetic_tile", [952, 115, 85, 57, 32, 103], []),
    ],
)  # fmt: skip
def test_real_sets(name, train, test):
    ds = load_real(name)
    assert counts(ds.y_train) == train and counts(ds.y_test) == test
    if name in data.PUBLISHED:
        assert ds.exact, f"{name} differs from the published data"


@needs_real
def test_real_mnist_has_the_published_bytes():
    ds = load_real("mnist")
    md5 = hashlib.md5(b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (60000, 28, 28)) + ds.x_train.tobytes())
    assert md5.hexdigest() == "6bbc9ace898e44ae57da46a324031adb"  # of the unpacked train-images-idx3-ubyte


@needs_real
def test_real_letters_are_upright():
    ds = load_real("emnist_letters")
    mean = ds.x_train[ds.y_train == ds.classes.index("I"), 0].mean(axis=0)
    assert mean[:, 10:18].sum() > 1.5 * mean[10:18].sum()  # an I is a vertical stroke
