"""PyTorch modules with the interface of scikit-learn: a use case's `build` returns one, alone or behind a
pipeline of scikit-learn.

    make_pipeline(StandardScaler(), NetworkClassifier(Layers, {"hidden": 64}, epochs=40, clip=6.0, seed=1))

`Layers` is a class of your own in `src/<model>` (or a function that returns a module). It is called with
`options`, and with `inputs` and `outputs`, the numbers of columns and of answers, where it takes them. It
answers a table [rows, inputs] of float32 with [rows, outputs]: scores of classes (no softmax), or values.

What was learned is kept as the bytes of a safetensors file, so that no pickle is needed to save it. torch is
imported when a network is fitted or asked, and not before.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from mlops.errors import InvalidInput

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

Loss = Literal["squared", "absolute", "huber"]
CHUNK = 4096
"""Rows that are asked at once: what a network holds between its layers grows with them."""
_SHARED = ("_module",)
"""What is made anew wherever a network is loaded."""


class _Network(BaseEstimator):
    """What classifiers and regressors have in common."""

    def __init__(
        self,
        module: Callable[..., Any],
        options: Mapping[str, Any] | None = None,
        *,
        epochs: int = 30,
        batch: int = 64,
        rate: float = 0.003,
        decay: float = 0.01,
        clip: float | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        """`clip`: inputs beyond it, on either side, are taken as it (after a StandardScaler, 6 is far out);
        None leaves them. `device`: where it is fitted; "auto" is a GPU where the process finds one. It
        answers on the processor."""
        self.module = module
        self.options = options
        self.epochs = epochs
        self.batch = batch
        self.rate = rate
        self.decay = decay
        self.clip = clip
        self.seed = seed
        self.device = device

    # --- fitting ----------------------------------------------------------------------------------------

    def _fit(self, rows: Array, truth: Array, outputs: int, loss: Callable[[Any, Any], Any]) -> Self:
        """AdamW with a rate that falls to zero; the same arguments on the same machine give the same bits."""
        import torch

        self._checked(rows)
        self.inputs_, self.outputs_ = rows.shape[1], outputs
        where = self._where(torch)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if where != "cpu" else []):
            torch.manual_seed(int(self.seed))
            module = self._made().to(where)
            module.train()
            given, wanted = torch.from_numpy(rows).to(where), torch.from_numpy(truth).to(where)
            if self.clip is not None:
                given = given.clamp(-self.clip, self.clip)
            steps = int(self.epochs) * -(-len(rows) // int(self.batch))
            optimizer = torch.optim.AdamW(module.parameters(), lr=self.rate, weight_decay=self.decay)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
            for _ in range(int(self.epochs)):
                for chosen in torch.randperm(len(rows)).to(where).split(int(self.batch)):
                    if len(chosen) == 1 < len(rows):
                        continue  # a normalisation over the batch has nothing to go by
                    optimizer.zero_grad()
                    error = loss(self._wide(module(given[chosen]), len(chosen)), wanted[chosen])
                    error.backward()
                    optimizer.step()
                    schedule.step()
            module.eval().to("cpu")
        self._keep(module)
        return self

    def _checked(self, rows: Array) -> None:
        if not np.isfinite(rows).all():
            raise ValueError(
                "a network takes no null and no infinity: begin with a SimpleImputer, or say nullable=False"
            )
        if int(self.epochs) < 1 or int(self.batch) < 2:
            raise ValueError("a network needs at least 1 epoch, and batches of at least 2 rows")

    def _where(self, torch: Any) -> str:
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise ValueError(
                f"device={self.device!r}: this process finds no GPU; 'auto' takes one where there is one"
            )
        return str(self.device)

    def _made(self) -> Any:
        """A module with weights that nobody has fitted."""
        known = inspect.signature(self.module).parameters
        sizes = {"inputs": self.inputs_, "outputs": self.outputs_}
        network = self.module(
            **{name: size for name, size in sizes.items() if name in known}, **dict(self.options or {})
        )
        if not hasattr(network, "state_dict"):
            raise InvalidInput(
                f"{self.module!r} made a {type(network).__name__}, which is no torch.nn.Module; give the "
                "network a class of modules, or a function that returns a module"
            )
        return network

    def _wide(self, answer: Any, rows: int) -> Any:
        """[rows, outputs], whatever shape a single answer has."""
        if answer.shape == (rows,) and self.outputs_ == 1:
            return answer.reshape(rows, 1)
        if tuple(answer.shape) != (rows, self.outputs_):
            raise ValueError(
                f"the module answers {tuple(answer.shape)} to {rows} rows; it must answer {self.outputs_} "
                "numbers a row (its argument `outputs`)"
            )
        return answer

    # --- what is kept -----------------------------------------------------------------------------------

    def _keep(self, module: Any) -> None:
        from safetensors.torch import save

        # Each tensor for itself: safetensors keeps no two that share their memory.
        state = module.state_dict()
        self.weights_ = save({name: value.detach().clone().contiguous() for name, value in state.items()})
        self._module = module

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name not in _SHARED}

    def fitted(self) -> Any:
        """The module with its weights, which answers as `predict` does: probabilities, or values.

        What `torch.onnx` exports.
        """
        if not hasattr(self, "weights_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(f"this {type(self).__name__} is not fitted")
        if getattr(self, "_module", None) is None:
            from safetensors.torch import load

            module = self._made()
            module.load_state_dict(load(self.weights_))
            self._module = module.eval()
        return _answering(self, self._module)

    def _finish(self, torch: Any, answer: Any) -> Any:
        """From what the module answers to what is asked for."""
        raise NotImplementedError

    def _answers(self, rows: Any) -> Array:
        import torch

        given = table(rows)
        if given.shape[1] != self.inputs_:
            raise ValueError(f"{given.shape[1]} inputs a row, and the network was fitted with {self.inputs_}")
        module = self.fitted()
        with torch.inference_mode():
            parts = [
                module(torch.from_numpy(given[i : i + CHUNK])).numpy() for i in range(0, len(given), CHUNK)
            ]
        return np.concatenate(parts) if parts else np.zeros((0, self.outputs_), dtype=np.float32)


class NetworkClassifier(ClassifierMixin, _Network):
    """Classes by the softmax of the module's scores; several labels at once (a table of 0 and 1) by their
    sigmoid."""

    def fit(self, rows: Any, labels: Any) -> Self:
        import torch

        truth = np.asarray(labels)
        self.several_ = truth.ndim == 2
        self.classes_: Any
        if self.several_:
            self.classes_ = [np.array([0, 1])] * truth.shape[1]
            return self._fit(
                table(rows),
                truth.astype(np.float32),
                truth.shape[1],
                torch.nn.functional.binary_cross_entropy_with_logits,
            )
        self.classes_, codes = np.unique(truth, return_inverse=True)
        return self._fit(
            table(rows), codes.astype(np.int64), len(self.classes_), torch.nn.functional.cross_entropy
        )

    def _finish(self, torch: Any, answer: Any) -> Any:
        return torch.sigmoid(answer) if self.several_ else torch.softmax(answer, dim=1)

    def predict_proba(self, rows: Any) -> Array:
        return self._answers(rows)

    def predict(self, rows: Any) -> Array:
        probabilities = self._answers(rows)
        if self.several_:
            return (probabilities >= 0.5).astype(int)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])


class NetworkRegressor(RegressorMixin, _Network):
    """Values, one or several a row. The module learns them with a mean of 0 and a deviation of 1."""

    def __init__(
        self,
        module: Callable[..., Any],
        options: Mapping[str, Any] | None = None,
        *,
        loss: Loss = "squared",
        quantiles: Sequence[float] | None = None,
        epochs: int = 30,
        batch: int = 64,
        rate: float = 0.003,
        decay: float = 0.01,
        clip: float | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        """`quantiles`: answers these of a value, and `loss` counts for nothing."""
        super().__init__(
            module, options, epochs=epochs, batch=batch, rate=rate, decay=decay, clip=clip, seed=seed,
            device=device,
        )  # fmt: skip
        self.loss = loss
        self.quantiles = quantiles

    def fit(self, rows: Any, values: Any) -> Self:
        truth = np.asarray(values, dtype=np.float64)
        self.flat_ = truth.ndim == 1 and not self.quantiles
        truth = truth.reshape(len(truth), -1)
        deviation = truth.std(axis=0)
        # As float32, as the module has them: what is answered is scaled by the very same numbers.
        self.centre_ = truth.mean(axis=0).astype(np.float32)
        self.spread_ = np.where(deviation > 0, deviation, 1.0).astype(np.float32)
        scaled = ((truth - self.centre_) / self.spread_).astype(np.float32)
        return self._fit(table(rows), scaled, len(self.quantiles or scaled[0]), self._loss())

    def _loss(self) -> Callable[[Any, Any], Any]:
        import torch

        if self.quantiles:
            levels = torch.tensor([float(q) for q in self.quantiles])

            def pinball(answer: Any, truth: Any) -> Any:
                apart = truth - answer
                at = levels.to(apart.device)
                return torch.maximum(at * apart, (at - 1) * apart).mean()

            return pinball
        of = torch.nn.functional
        known = {"squared": of.mse_loss, "absolute": of.l1_loss, "huber": of.huber_loss}
        if self.loss not in known:
            raise ValueError(f"loss={self.loss!r}: it must be {', '.join(known)}")
        return known[self.loss]  # type: ignore[no-any-return]

    def _finish(self, torch: Any, answer: Any) -> Any:
        values = answer * torch.from_numpy(self.spread_) + torch.from_numpy(self.centre_)
        # Quantiles that cross are put in order.
        return torch.sort(values, dim=1)[0] if self.quantiles else values

    def predict(self, rows: Any) -> Array:
        values = self._answers(rows)
        return values[:, 0] if self.flat_ else values


def _answering(network: _Network, module: Any) -> Any:
    """The whole way from inputs to answers as one module."""
    import torch

    class Answering(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, rows: Any) -> Any:
            if network.clip is not None:
                rows = rows.clamp(-network.clip, network.clip)
            answer = self.inner(rows)
            answer = answer.reshape(-1, 1) if network.outputs_ == 1 else answer
            return network._finish(torch, answer)

    return Answering().eval()


def table(rows: Any) -> Array:
    """A table, a sparse matrix, or columns of vectors as one array of float32 [rows, inputs]."""
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    if hasattr(rows, "iloc"):
        parts = [
            np.stack([np.asarray(cell, dtype=np.float32) for cell in rows[name]])
            if str(rows[name].dtype) == "object"
            else rows[name].to_numpy(dtype=np.float32, na_value=np.nan).reshape(-1, 1)
            for name in rows
        ]
        return np.ascontiguousarray(np.hstack(parts)) if len(rows) else np.zeros((0, len(parts)), np.float32)
    numbers = np.asarray(rows, dtype=np.float32)
    return np.ascontiguousarray(numbers.reshape(len(numbers), -1))
