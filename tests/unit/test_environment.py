"""pyproject.toml, constraints.txt and environment.yml describe one environment."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
REQUIREMENTS = PROJECT["dependencies"] + [r for extra in PROJECT["optional-dependencies"].values() for r in extra]


def pins():
    """{name: version} of constraints.txt; every line must be an exact pin, each package stand there once."""
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    found = [Requirement(line) for line in lines if line]
    for pin in found:
        assert [s.operator for s in pin.specifier] == ["=="] and "*" not in str(pin.specifier), f"{pin} is no exact pin"
    names = [canonicalize_name(pin.name) for pin in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return {name: next(iter(pin.specifier)).version for name, pin in zip(names, found, strict=True)}


@pytest.mark.parametrize("text", REQUIREMENTS)
def test_every_dependency_is_pinned_and_the_pin_is_allowed(text):
    requirement = Requirement(text)
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_torch_and_torchvision_are_a_pair():
    assert (pins()["torch"], pins()["torchvision"]) == ("2.14.1", "0.29.1")


def test_conda_installs_this_package_by_pip_with_the_same_constraints():
    pip = next(d["pip"] for d in CONDA["dependencies"] if isinstance(d, dict))
    assert "-c constraints.txt" in pip
    (editable,) = [line for line in pip if line.startswith("-e ")]
    extras = re.fullmatch(r"-e \.\[(.+)\]", editable)[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"]) and {"book", "test"} <= set(extras)
    assert len(pip) == 2, "conda's environment must add no package of its own"


def test_conda_brings_python_and_pip_only_in_a_version_that_pyproject_allows():
    plain = sorted(d for d in CONDA["dependencies"] if isinstance(d, str))
    assert plain == ["pip", "python=3.11"]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(plain[1].removeprefix("python="))
    assert CONDA["channels"][0] == "conda-forge"


def test_make_accepts_the_pythons_that_pyproject_allows():
    script = (ROOT / "tools" / "install.sh").read_text()
    low, high = re.search(r"\((\d+, \d+)\) <= sys.version_info\[:2\] <= \((\d+, \d+)\)", script).groups()
    allowed = Requirement(f"python{PROJECT['requires-python']}").specifier
    low, high = (text.replace(", ", ".") for text in (low, high))
    assert allowed.contains(low) and allowed.contains(high) and not allowed.contains("3.10")
