"""Deep one-class anomaly detection: five papers' models and scores, and what they compare with.

`from adlib import GEOM` imports torch; `import adlib` alone does not.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # read by type checkers and by adlib.companion.imports
    from .autoencoder import Autoencoder
    from .detector import Detector
    from .drocc import DROCC, DROCCLF, DROCCOE
    from .energy import DAGMM, DSEBM
    from .fcdd import FCDD, HSC
    from .gan import ADGAN
    from .geom import GEOM
    from .goad import GOAD
    from .ns import NoveltyNormalization
    from .ocnn import OCNN
    from .random_features import RandomFeatures
    from .rcae import RCAE
    from .saving import load, save
    from .shallow import KDE, KNN, LOF, OCSVM, IsolationForest
    from .svdd import DeepSAD, DeepSVDD, SoftDeepSVDD
    from .vae import VAE

    METHODS: dict[str, type[Detector]]

__version__ = "0.1.0"
__all__ = [
    "ADGAN",
    "Autoencoder",
    "DAGMM",
    "DROCC",
    "DROCCLF",
    "DROCCOE",
    "DSEBM",
    "DeepSAD",
    "DeepSVDD",
    "Detector",
    "FCDD",
    "GEOM",
    "GOAD",
    "HSC",
    "IsolationForest",
    "KDE",
    "KNN",
    "LOF",
    "METHODS",
    "NoveltyNormalization",
    "OCNN",
    "OCSVM",
    "RCAE",
    "RandomFeatures",
    "SoftDeepSVDD",
    "VAE",
    "load",
    "save",
]

_METHOD_HOME = {
    "ADGAN": "gan",
    "Autoencoder": "autoencoder",
    "DAGMM": "energy",
    "DROCC": "drocc",
    "DROCCLF": "drocc",
    "DROCCOE": "drocc",
    "DSEBM": "energy",
    "DeepSAD": "svdd",
    "DeepSVDD": "svdd",
    "FCDD": "fcdd",
    "GEOM": "geom",
    "GOAD": "goad",
    "HSC": "fcdd",
    "IsolationForest": "shallow",
    "KDE": "shallow",
    "KNN": "shallow",
    "LOF": "shallow",
    "NoveltyNormalization": "ns",
    "OCNN": "ocnn",
    "OCSVM": "shallow",
    "RCAE": "rcae",
    "RandomFeatures": "random_features",
    "SoftDeepSVDD": "svdd",
    "VAE": "vae",
}
_HOME = _METHOD_HOME | {"Detector": "detector", "load": "saving", "save": "saving"}


def __getattr__(name: str):
    if name == "METHODS":
        value = {method: __getattr__(method) for method in _METHOD_HOME}
    elif name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
