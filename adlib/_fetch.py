"""Downloads of the sets that have public files, and the command line of ``python -m adlib.data``."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

from adlib import data


class Source(NamedTuple):
    """A public file, its checksum, and where it goes; of an archive, ``members`` says which files go where."""

    url: str
    checksum: str  # as pooch reads it: sha256, or "md5:" and md5
    path: str
    members: dict[str, str] = {}


class Public(NamedTuple):
    """All public files of one set, and their size together."""

    megabytes: float
    sources: tuple[Source, ...]


def _idx(base: str, folder: str, checksums: tuple[str, ...]) -> tuple[Source, ...]:
    files = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    return tuple(Source(base + f, c, f"{folder}/raw/{f}") for f, c in zip(files, checksums, strict=True))


_GOAD = "https://raw.githubusercontent.com/lironber/GOAD/3655b867e84d9100ee24b6a346eabd3c85edf3d4/data/"
_LETTERS = [f"emnist-letters-{p}-{k}-ubyte.gz" for p in ("train", "test") for k in ("images-idx3", "labels-idx1")]
_BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]

SOURCES = {
    "mnist": Public(11.6, _idx("https://ossci-datasets.s3.amazonaws.com/mnist/", "MNIST", (
        "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873", "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "md5:9fb629c4189551a2d022fa330f9573f3", "md5:ec29112dd5afa0611ce80d1b7f02629c"))),
    "fashion_mnist": Public(30.9, _idx("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", "FashionMNIST", (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"))),
    "emnist_letters": Public(561.8, (Source(
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip", "md5:58c8d27c78d21e728a6bc7b3cc06412e",
        "EMNIST/raw/gzip.zip", {f"gzip/{f}": f"EMNIST/raw/{f}" for f in _LETTERS}),)),
    "cifar10": Public(170.5, (Source(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a",
        "cifar-10-python.tar.gz", {f: f for f in (f"cifar-10-batches-py/{b}" for b in _BATCHES)}),)),
    "thyroid": Public(0.1, (Source(
        _GOAD + "thyroid.mat", "49155d7861b977e90808faf68343ff67a67f63090c2744d514dbb67ac68e7e33",
        "tabular/thyroid.mat"),)),
    "arrhythmia": Public(0.1, (Source(
        _GOAD + "arrhythmia.mat", "e4d47e499591ae31e5d7f0cd983367092353eac240f48e14c9b36457edb3460d",
        "tabular/arrhythmia.mat"),)),
    "abalone": Public(0.2, (Source(
        "https://archive.ics.uci.edu/ml/machine-learning-databases/abalone/abalone.data",
        "de37cdcdcaaa50c309d514f248f7c2302a5f1f88c168905eba23fe2fbc78449f", "tabular/abalone.data"),)),
}  # fmt: skip
SMALL = ("mnist", "fashion_mnist", "thyroid", "arrhythmia", "abalone")


def fetch(name: str, to: str | Path | None = None, wait: float = 30, total: float = 3600) -> Path:
    """Downloads the files of ``name`` into the folder ``to`` (None: the checkout's ``data/``, else the user cache).

    Waits ``wait`` seconds for an answer and ``total`` seconds for a file. A file takes its name when it is whole and
    its checksum is right; files that are right already are kept. Raises DataError. Returns the folder.
    """
    check(name)
    folder = Path(to).expanduser().absolute() if to else data.checkout_data() or data.user_cache()
    for source in SOURCES[name].sources:
        try:
            _download(source, folder, wait, total)
        except Exception as error:  # pooch, requests, ssl, tarfile, zipfile and the disk: each has errors of its own
            _remove_empty(folder / source.path, folder)
            raise data.DataError(f"{name} was not fetched: {source.url}: {_reason(error, wait)}") from error
    return folder


def check(name: str) -> None:
    """Raises DataError when ``name`` is unknown or has no public files."""
    data.check_name(name)
    if name not in SOURCES:
        can = ", ".join(SOURCES)
        raise data.DataError(f"{name} cannot be fetched, no public file holds the same bytes: must be one of {can}")


def _reason(error: Exception, wait: float) -> str:
    """What went wrong, in a few words: the text of a connection error runs over three lines."""
    from requests import exceptions

    if isinstance(error, exceptions.ConnectTimeout | exceptions.ReadTimeout):
        return f"no answer within {wait:g} s"
    if isinstance(error, exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, exceptions.ConnectionError):
        return f"no answer within {wait:g} s" if "timed out" in str(error) else "no connection"
    if isinstance(error, exceptions.HTTPError):
        return f"the server says {error.response.status_code} {error.response.reason}"
    if isinstance(error, ValueError) and "hash" in str(error):
        return "the file has a wrong checksum and was thrown away"
    return " ".join(str(error).split()) or type(error).__name__


def _remove_empty(path: Path, top: Path) -> None:
    """Removes the folders above ``path`` up to ``top`` that hold nothing."""
    for folder in path.parents:
        if not folder.is_relative_to(top) or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()


def _download(source: Source, folder: Path, wait: float, total: float) -> None:
    import pooch
    import requests

    def get(url: str, part: str, _) -> None:
        """What pooch calls; unlike its own, this one ends a download that a slow server draws out."""
        end = time.monotonic() + total
        with requests.get(url, stream=True, timeout=wait) as answer, open(part, "wb") as out:
            answer.raise_for_status()
            for block in answer.iter_content(4096):
                if time.monotonic() > end:
                    raise TimeoutError(f"not complete after {total:g} s")
                out.write(block)

    pooch.get_logger().setLevel(logging.ERROR)
    target = folder / source.path
    target.parent.mkdir(parents=True, exist_ok=True)
    pooch.retrieve(source.url, source.checksum, target.name, target.parent, downloader=get)
    if source.members:
        _unpack(target, {member: folder / path for member, path in source.members.items()})
        target.unlink()


def _unpack(archive: Path, members: dict[str, Path]) -> None:
    """Writes the members of a zip or tar file, each under its name when it is whole."""
    is_zip = zipfile.is_zipfile(archive)
    with zipfile.ZipFile(archive) if is_zip else tarfile.open(archive) as packed:
        for member, path in members.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.part")
            with packed.open(member) if is_zip else packed.extractfile(member) as source, part.open("wb") as out:
                shutil.copyfileobj(source, out)
            part.replace(path)


def main(argv: list[str] | None = None) -> int:
    """Runs one command; 0 when done, else 1 and a sentence on stderr. ``--small`` goes on without what it lacks."""
    parser = argparse.ArgumentParser(prog="python -m adlib.data", description="Data sets for the book.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="say which data sets are at hand, and where")
    get = commands.add_parser("fetch", help="download data sets that have public files")
    get.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(SOURCES)}")
    get.add_argument("--small", action="store_true", help="MNIST, Fashion-MNIST, tabular; goes on without")
    get.add_argument("--all", action="store_true", help="everything that can be fetched")
    get.add_argument("--to", metavar="FOLDER", help="default: data/ of the checkout, else the user cache")
    args = parser.parse_args(argv)
    try:
        if args.command == "list":
            return _list()
        names = list(SMALL if args.small else SOURCES if args.all else args.names)
        if not names:
            get.error("name a data set, or say --small or --all")
        for name in names:
            check(name)
        return _fetch_small(names, args.to) if args.small else _fetch_all(names, args.to)
    except data.DataError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the files that were complete are kept", file=sys.stderr)
        return 130


def _list() -> int:
    for name in data.NAMES:
        try:
            state = f"at hand in {data.where(name)}"
        except data.DataNotFound:
            cure = f"{_megabytes([name])} to fetch" if name in SOURCES else "there is no public file of it"
            state = f"not at hand; {cure}"
        print(f"{name:15} {state}")
    return 0


def _fetch_all(names: list[str], to: str | None) -> int:
    """Fetches what is not at hand whole and exact; 1 when something could not be had."""
    missing = [name for name in names if to or not _good(name)]
    _announce(missing)
    failed = 0
    for name in missing:
        try:
            print(f"{name}: {fetch(name, to)}", flush=True)
        except data.DataError as error:
            print(error, file=sys.stderr)
            failed = 1
    return failed


def _good(name: str) -> bool:
    """Whether the set is at hand with the published values: a damaged file or a stand-in is a reason to fetch."""
    try:
        exact = data.load(name).exact
    except data.DataError:
        return False
    if exact:
        print(f"{name}: already in {data.where(name)}")
    return exact


def _fetch_small(names: list[str], to: str | None) -> int:
    """Fetches what is not at hand, without much waiting; says what could not be had."""
    missing = []
    for name in names:
        try:
            data.where(name)
        except data.DataNotFound:
            missing.append(name)
    _announce(missing)
    for name in missing:
        try:
            print(f"{name}: {fetch(name, to, wait=5, total=120)}", flush=True)
        except data.DataError as error:
            print(f"{error}\n{name}: going on without it", flush=True)
    return 0


def _announce(names: list[str]) -> None:
    if names:
        print(f"fetching {', '.join(names)}: {_megabytes(names)}", flush=True)


def _megabytes(names: list[str]) -> str:
    return f"{sum(SOURCES[name].megabytes for name in names if name in SOURCES):.1f} MB"
