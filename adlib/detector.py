"""What every detector shares: the scikit-learn face, input checks, the one training loop."""

import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

_BUILD_LOCK = threading.Lock()  # module construction reads torch's global generator

TRAINED = {  # constraints of the settings that every trained detector has
    "epochs": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 2, None, closed="left")],  # batch norm needs two
    "lr": [Interval(Real, 0, None, closed="neither")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "net": [callable, None],
    "amp": ["boolean"],
    "compile": ["boolean"],
}


@dataclass(kw_only=True, eq=False, repr=False)
class Detector(OutlierMixin, BaseEstimator):
    """A one-class detector: `fit` on normal data, then `anomaly_score`, where larger means more anomalous.

    A trained detector supplies `_build`, `_loss` and `_score`, and the hooks it needs of `_draw`, `_items`, `_start`,
    `_optimizer`, `_end_epoch`, `_training_scores`; a shallow one supplies `_fit`, `_scores`, `_state` and `_set_state`
    instead.
    """

    fpr: float = 0.05
    """Share of the training rows that `predict` calls anomalous: sets `offset_`."""
    random_state: int | np.random.RandomState | None = 0
    """Seed, read in `fit` only."""
    device: str = "auto"
    """"auto" (CUDA where there is one), "cpu", "cuda", "cuda:1"."""

    image_only = False
    takes_outliers = False
    takes_masks = False
    _outliers = _masks = None
    scored_by = ()  # settings that a score depends on, so that `anomaly_score` follows a change after `fit`
    chunk = 512  # rows scored at once, always: a row's score must not depend on its neighbours
    _parameter_constraints = {
        "fpr": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
        "device": [str],
    }

    # ---- the public face

    def fit(self, X, y=None, *, outliers=None, masks=None, on_epoch: Callable[[int, float], None] | None = None):
        """Learn from normal data X, (n, d) or (n, c, h, w); returns self.

        A fit that fails leaves the detector unfitted. y is ignored. `outliers` (same shape but for n) and `masks`
        (m, h, w), from 0 to 1 where an outlier is anomalous, are for the methods that use them. Images of another type
        than uint8 are taken to lie in [0, 1].
        `on_epoch(epoch, mean_loss)` is called after each epoch, with the detector ready to score and predict.
        """
        self._forget()
        self._validate_params()
        if isinstance(getattr(self, "net", None), torch.nn.Module):
            raise ValueError("net is a module: a factory is needed, which takes a row's shape and gives a new module.")
        self._refuse_unused(outliers=outliers, masks=masks)
        try:
            self.device_ = resolve_device(self.device)
            x = self._check(X, reset=True)
            self._outliers = None if outliers is None else self._check_outliers(outliers, x)
            self._masks = None if masks is None else self._check_masks(masks)
            self._check_settings(x)
            self._fit(x, on_epoch)
        except BaseException:
            self._forget()
            raise
        finally:
            self.__dict__.pop("_outliers", None)
            self.__dict__.pop("_masks", None)
        return self

    def anomaly_score(self, X) -> np.ndarray:
        """Anomaly score of each row of X, (n,) float64; larger means more anomalous."""
        check_is_fitted(self)
        self._validate_params()  # some settings may be changed after fit
        return self._scores(self._check(X, reset=False))

    def score_samples(self, X) -> np.ndarray:
        """-anomaly_score, (n,): scikit-learn's sign, larger means more normal."""
        return -self.anomaly_score(X)

    def decision_function(self, X) -> np.ndarray:
        """score_samples - offset_, (n,): negative means anomalous.

        Raises ValueError if a setting that scores depend on was changed after `fit`.
        """
        check_is_fitted(self)
        for name, value in self.scored_with_.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name}={getattr(self, name)!r}, but offset_ belongs to {name}={value!r}: fit again.")
        return self.score_samples(X) - self.offset_

    def predict(self, X) -> np.ndarray:
        """+1 for normal, -1 for anomalous, (n,)."""
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "model_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = not self.image_only
        return tags

    # ---- input

    def _check(self, X, reset: bool) -> torch.Tensor:
        """X as a finite tensor (n, d) or (n, c, h, w), on its device: uint8 (images only), float32 or float64.

        `reset` (in fit) notes the shape in `shape_in_`; otherwise the shape must be that one.
        """
        x = self._check_tensor(X, reset) if isinstance(X, torch.Tensor) else self._check_array(X, reset)
        shape = tuple(x.shape[1:])
        if reset:
            self.shape_in_ = shape
        elif shape != self.shape_in_:
            raise ValueError(
                f"X has rows of shape {shape}, but {type(self).__name__} was fitted on rows of shape {self.shape_in_}."
            )
        return x

    def _check_outliers(self, outliers, x: torch.Tensor) -> torch.Tensor:
        try:
            checked = self._check(outliers, reset=False)
        except ValueError as error:
            raise ValueError(f"outliers: {error}") from None
        if (checked.dtype == torch.uint8) != (x.dtype == torch.uint8):
            kinds = f"X is {x.dtype}, outliers are {checked.dtype}"
            raise ValueError(f"{kinds}: both must be uint8, or neither, to be on one scale.")
        return checked

    def _check_masks(self, masks) -> torch.Tensor:
        """masks as float32 (m, h, w) with values from 0 to 1, one for each of the m outliers."""
        if self._outliers is None:
            raise ValueError("masks without outliers: a mask says which pixels of an outlier are anomalous.")
        if not isinstance(masks, torch.Tensor):
            masks = np.asarray(masks)
            if masks.dtype.kind not in "biuf":
                raise ValueError(f"masks are of type {masks.dtype}: bool, or numbers from 0 to 1, are needed.")
            masks = torch.from_numpy(masks.astype(np.float32))
        masks = masks.detach().float()
        m, _, h, w = self._outliers.shape
        if masks.shape != (m, h, w):
            raise ValueError(f"masks have the shape {tuple(masks.shape)}: {(m, h, w)} is needed, as the outliers have.")
        if (outside := ~((masks >= 0) & (masks <= 1))).any():
            raise ValueError(f"masks hold {masks[outside][0]:g}: from 0 (normal) to 1 (anomalous) is allowed.")
        return masks

    def _check_array(self, X, reset: bool) -> torch.Tensor:
        least = 2 if reset else 1
        try:
            if getattr(X, "ndim", 2) == 4 or self.image_only:
                X = check_array(X, dtype=None, allow_nd=True, ensure_2d=False, ensure_min_samples=least, input_name="X")
                self._check_rank(X.ndim)
                if X.dtype != np.uint8:
                    X = check_array(X, dtype=[np.float64, np.float32], allow_nd=True, input_name="X")
                self._note_features(X.shape[1], reset)
            else:
                X = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], ensure_min_samples=least)
        except ValueError as error:  # on one line; of NaN the first says it, the others recommend other estimators
            message = str(error) if "NaN" not in str(error) else str(error).splitlines()[0]
            raise ValueError(" ".join(message.split())) from None
        if not X.flags.writeable or any(stride < 0 for stride in X.strides):
            X = X.copy()
        return torch.from_numpy(np.asarray(X))

    def _check_tensor(self, X: torch.Tensor, reset: bool) -> torch.Tensor:
        self._check_rank(X.ndim)
        least = 2 if reset else 1
        if len(X) < least:
            raise ValueError(
                f"Found array with {len(X)} sample(s) (shape={tuple(X.shape)}) while a minimum of {least} is required."
            )
        if X.numel() == 0:
            raise ValueError(f"X is empty: its shape is {tuple(X.shape)}.")
        if X.is_complex():
            raise ValueError(f"Complex data not supported: X is {X.dtype}, a real tensor is needed.")
        keep = X.dtype in (torch.float32, torch.float64) or (X.dtype == torch.uint8 and X.ndim == 4)
        x = X.detach() if keep else X.detach().double()
        if x.is_floating_point() and not x.isfinite().all():
            raise ValueError("Input X contains NaN or infinity.")
        self._note_features(X.shape[1], reset)
        return x

    def _check_rank(self, ndim: int):
        allowed = {4: "(n, c, h, w)"} if self.image_only else {2: "(n, d)", 4: "(n, c, h, w)"}
        if ndim not in allowed:
            shapes = " or ".join(allowed.values())
            raise ValueError(f"{type(self).__name__} takes X of shape {shapes}, got {ndim}-D input.")

    def _note_features(self, n_features: int, reset: bool):
        if reset:
            self.n_features_in_ = n_features

    def _check_settings(self, x: torch.Tensor):
        """Refuse settings that do not fit the data, in one sentence each."""

    def _refuse_unused(self, **given):
        for name, value in given.items():
            if value is not None and not getattr(self, f"takes_{name}"):
                raise ValueError(f"{type(self).__name__} takes no {name}: leave {name}= out.")

    def _forget(self):
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)

    # ---- training

    def _fit(self, x: torch.Tensor, on_epoch):
        """Build and train; `_outliers` and `_masks` hold the side information while this runs."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        x = self._moved(x, "X")
        if self._outliers is not None:
            self._outliers = self._moved(self._outliers, "outliers")
        if self._masks is not None:
            self._masks = self._masks.to(self.device_)
        with seeded_construction(seed):
            self.model_ = self._build(self.shape_in_, self.device_)
        generator = torch.Generator(self.device_).manual_seed(seed)
        self._start(x)
        self._train(x, generator, on_epoch)
        self._set_offset(self._training_scores(x))

    def _moved(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """x on the device, uint8 or float32."""
        check_range(x, name)
        return x.to(self.device_, torch.uint8 if x.dtype == torch.uint8 else torch.float32)

    def _set_offset(self, training_scores: np.ndarray):
        """Let `predict` call the share `fpr` of the training rows anomalous."""
        if not np.isfinite(training_scores).all():
            raise ValueError("The scores of the training rows are not finite: lower lr, or scale the rows.")
        self.offset_ = float(np.quantile(-training_scores, self.fpr))
        self.scored_with_ = {name: getattr(self, name) for name in self.scored_by}

    def _train(self, x: torch.Tensor, generator: torch.Generator, on_epoch):
        """`_optimizer`'s steps over shuffled batches; leaves the mean loss of each epoch in `history_`."""
        items, epochs = self._items(x), self._epochs()
        optimizer = self._optimizer()
        loss_of = torch.compile(self._loss) if self.compile else self._loss
        self.history_ = []
        for epoch in range(epochs):
            for group in optimizer.param_groups:
                group["lr"] = self._lr(epoch)
            self.model_.train()
            total = torch.zeros((), device=self.device_)
            order = torch.randperm(items, generator=generator, device=self.device_)
            for index in split_batches(order, self.batch_size):
                batch = self._draw(x, index, generator)
                with torch.autocast(self.device_.type, torch.bfloat16, enabled=self.amp):
                    loss = loss_of(batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(index)
            self.history_.append(total.item() / items)
            if not np.isfinite(self.history_[-1]):
                loss = self.history_[-1]
                raise ValueError(f"Training diverged: the mean loss of epoch {epoch} is {loss}; lower lr={self.lr}.")
            self.model_.eval()
            done = self._end_epoch(x)
            if on_epoch is not None:
                self._set_offset(self._training_scores(x))
                on_epoch(epoch, self.history_[-1])
            if done:
                break

    def _build(self, shape: tuple[int, ...], device) -> torch.nn.Module:
        """The module that holds all learned state (parameters and buffers), for rows of that shape."""
        raise TypeError(f"{type(self).__name__} is not a trained detector")

    def _loss(self, batch) -> torch.Tensor:
        """Mean loss of a batch made by `_draw`, ()."""
        raise TypeError(f"{type(self).__name__} is not a trained detector")

    def _score(self, batch: torch.Tensor) -> torch.Tensor:
        """Anomaly score of each row of a batch on the device, (n,)."""
        raise TypeError(f"{type(self).__name__} is not a trained detector")

    def _optimizer(self) -> torch.optim.Optimizer:
        """Of all learned parameters; `_lr` sets its rate in each epoch."""
        return torch.optim.Adam(self.model_.parameters(), lr=self.lr, weight_decay=self.weight_decay)

    def _epochs(self) -> int:
        return self.epochs

    def _lr(self, epoch: int) -> float:
        """Learning rate of that epoch, from 0 on."""
        return self.lr

    def _items(self, x: torch.Tensor) -> int:
        """How many training items one epoch passes over."""
        return len(x)

    def _draw(self, x: torch.Tensor, index: torch.Tensor, generator: torch.Generator):
        """The batch for the items of that index; all randomness of a step belongs here."""
        return as_float(x[index])

    def _draw_outliers(self, n: int, generator: torch.Generator) -> torch.Tensor | None:
        """n of the outliers given to `fit`, with replacement; None if there are none."""
        if self._outliers is None:
            return None
        index = torch.randint(len(self._outliers), (n,), generator=generator, device=self._outliers.device)
        return as_float(self._outliers[index])

    def _start(self, x: torch.Tensor):
        """What must be computed from the data and the untrained network before the first step."""

    def _end_epoch(self, x: torch.Tensor) -> bool:
        """What follows the steps of each epoch; True ends the training."""
        return False

    def _training_scores(self, x: torch.Tensor) -> np.ndarray:
        return self._scores(x)

    # ---- scoring and state

    @torch.no_grad()
    def _scores(self, x: torch.Tensor) -> np.ndarray:
        return np.concatenate([self._score(rows)[:n].double().cpu().numpy() for rows, n in self._chunks(x)])

    def _chunks(self, x: torch.Tensor):
        """Yield (rows, n): `chunk` float32 rows on the device, of which the first n are x's and the others zeros."""
        check_range(x, "X")
        for rows in x.split(self.chunk):
            n = len(rows)
            rows = as_float(rows.to(self.device_))
            if n < self.chunk:
                rows = torch.cat([rows, rows.new_zeros(self.chunk - n, *rows.shape[1:])])
            yield rows, n

    def _learned(self) -> dict:
        """What `save` writes as JSON: the learned attributes that are plain values."""
        skip = ("model_", "device_", "rows_")
        return {name: value for name, value in vars(self).items() if name.endswith("_") and name not in skip}

    def _state(self) -> dict[str, torch.Tensor]:
        return self.model_.state_dict()

    def _set_state(self, state: dict[str, torch.Tensor]):
        with seeded_construction(0):
            self.model_ = self._build(self.shape_in_, self.device_)
        self.model_.load_state_dict(state)  # copies into place: the memory format is that of `_build`
        self.model_.eval()


# ---- helpers


def as_float(x: torch.Tensor) -> torch.Tensor:
    """x as float32; uint8 images come out in [0, 1], everything else unscaled."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x.float()


def check_range(x: torch.Tensor, name: str):
    """ValueError if finite x has values that float32 does not hold."""
    if x.dtype == torch.float64 and not x.float().isfinite().all():
        raise ValueError(f"{name} has values beyond the range of float32.")


def split_batches(order: torch.Tensor, batch_size: int) -> list[torch.Tensor]:
    """order (n,) in batches; a last one of a single item, which batch norm cannot take, joins the one before."""
    batches = list(order.split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def resolve_device(name: str) -> torch.device:
    """The torch device behind "auto", "cpu", "cuda", "cuda:1"; ValueError if this machine has none such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    allowed = ["auto", "cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device={name!r} is no device; allowed here: {', '.join(allowed)}.") from None
    if device.type not in allowed or (device.index or 0) >= max(1, torch.cuda.device_count()):
        raise ValueError(f"device={name!r} is not on this machine; allowed here: {', '.join(allowed)}.")
    return device


@contextmanager
def seeded_construction(seed: int):
    """Seed torch's global CPU generator for the body alone, one thread at a time; the old state comes back after."""
    with _BUILD_LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
