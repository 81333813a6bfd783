"""Fixtures of the tests of sweeps: each leaves torch and the folder as they were."""

import pytest
import torch
from toy_sweep import SPEC, Mean, commit, git, write_spec

import adlib


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A clean git checkout with the sweep `toy`, as the current folder; Mean is the only method."""
    monkeypatch.setattr(adlib, "METHODS", {"Mean": Mean})
    monkeypatch.setattr(Mean, "fits", 0)
    monkeypatch.chdir(tmp_path)
    write_spec(tmp_path, SPEC)
    (tmp_path / ".gitignore").write_text("build/\n")
    git("init", "-q")
    commit()
    return tmp_path
