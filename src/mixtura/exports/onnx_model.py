"""A mixture as an ONNX model: labels, probabilities and log densities of rows.

The input ``X (n,d)`` is float32 or float64, and everything is computed in that precision. Rows are
centred at the mean of each component before anything else, so that a distance from the origin costs
no digits: with ``mean = high + low``, where ``high`` is the mean rounded to the precision of X, the
difference ``x - high`` is exact for x near the mean (Sterbenz 1974), and ``low`` is the rest. Then

    z_k = W_k ((x - high_k) - low_k)          by the stored form: number, diagonal or triangle
    D_k = |z_k|^2
    joint_k = log_scale_k - D_k / 2           or -(nu_k + d) / 2  log(1 + D_k / nu_k)

and the largest joint density is subtracted before any exponential.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixtura.base.arrays import Array
from mixtura.base.errors import MissingExtraError
from mixtura.distribution.covariance import Dense, Diagonal
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import NOISE_LABEL
from mixtura.exports.described import DescribedMixture, created_by

if TYPE_CHECKING:
    from onnx import ModelProto

Precision: TypeAlias = Literal["float32", "float64"]

OPSET, IR_VERSION = 18, 8
"""The oldest operators that have all that is used here, and the file version of their time."""

LARGEST_DISTANCE = {"float32": 1e30, "float64": 1e290}
"""Squared distances are at most this, so that no row has the probability NaN."""

INPUT, LABEL, PROBABILITIES, LOG_DENSITY = "X", "label", "probabilities", "log_density"


def onnx_model(described: DescribedMixture, precision: Precision = "float32") -> ModelProto:
    """The ONNX model; its metadata name the columns, the family and the classes.

    Raises
    ------
    MissingExtraError
        When the package onnx is not installed.
    ValueError
        For a precision that is not known, or parameters outside of the range of float32.
    """
    if precision not in LARGEST_DISTANCE:
        raise ValueError(
            f"precision must be 'float32' or 'float64', that of the rows, but {precision!r} came."
        )
    onnx = _package()
    graph = _Graph(precision)
    _score(graph, described.mixture)
    real, d = graph.real, described.mixture.n_features
    width = described.mixture.n_components + (described.mixture.noise is not None)
    info = onnx.helper.make_tensor_value_info
    model: ModelProto = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "mixture",
            [info(INPUT, real, ["n", d])],
            [
                info(LABEL, onnx.TensorProto.INT64, ["n"]),
                info(PROBABILITIES, real, ["n", width]),
                info(LOG_DENSITY, real, ["n"]),
            ],
            graph.constants,
        ),
        producer_name="mixtura",
        producer_version=created_by().split()[-1],
        doc_string=described.title,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.helper.set_model_props(model, _metadata(described))
    onnx.checker.check_model(model)
    return model


def _package() -> Any:
    """The package onnx."""
    try:
        import onnx
    except ImportError:
        raise MissingExtraError(
            "an ONNX model needs onnx, which is not installed. Run: pip install 'mixtura[onnx]'"
        ) from None
    return onnx


def _metadata(described: DescribedMixture) -> Mapping[str, str]:
    """Text for the metadata of the model; lists are JSON."""
    return {
        "family": described.family,
        "components": described.law,
        "n_components": str(described.mixture.n_components),
        "columns": json.dumps(described.names),
        "noise": json.dumps(described.mixture.noise is not None),
        **({"classes": json.dumps(described.classes)} if described.classes else {}),
    }


# ---- the formulas --------------------------------------------------------------------------------


def _score(graph: _Graph, mixture: Mixture) -> None:
    """Labels, probabilities and log densities of the rows X (n,d)."""
    squared = _squared_distances(graph, mixture)
    joint = _log_joint(graph, mixture, squared)
    columns = graph.integers([1])
    top = graph("ReduceMax", joint, columns)
    shares = graph("Exp", graph("Sub", joint, top))
    total = graph("ReduceSum", shares, columns)
    graph("Div", shares, total, out=PROBABILITIES)
    graph("Squeeze", graph("Add", top, graph("Log", total)), columns, out=LOG_DENSITY)
    label = graph("ArgMax", joint, axis=1, keepdims=0)
    none = graph("IsNaN", LOG_DENSITY)
    if mixture.noise is not None:
        is_noise = graph("Equal", label, graph.integers(mixture.n_components))
        none = graph("Or", none, is_noise)
    graph("Where", none, graph.integers(NOISE_LABEL), label, out=LABEL)


def _squared_distances(graph: _Graph, mixture: Mixture) -> str:
    """Squared Mahalanobis distances (n,K)."""
    means = mixture.means[:, None]  # (K,1,d)
    centred = graph("Sub", graph("Unsqueeze", INPUT, graph.integers([0])), graph.reals(means))
    low = means - means.astype(graph.precision)
    if low.any():
        centred = graph("Sub", centred, graph.reals(low))
    covariance = mixture.covariance
    whitener = covariance.whitener
    if isinstance(covariance, Dense):
        white = graph("MatMul", centred, graph.reals(np.swapaxes(whitener, 1, 2)))
    elif isinstance(covariance, Diagonal):
        white = graph("Mul", centred, graph.reals(whitener[:, None]))
    else:
        white = graph("Mul", centred, graph.reals(whitener[:, None, None]))
    squared = graph("ReduceSumSquare", white, graph.integers([2]), keepdims=0)  # (K,n)
    largest = graph.reals(np.array(LARGEST_DISTANCE[graph.precision]))
    return graph("Transpose", graph("Min", squared, largest), perm=[1, 0])


def _log_joint(graph: _Graph, mixture: Mixture, squared: str) -> str:
    """``log weights_k + log p(x | k)`` (n,K), and last that of the noise."""
    if mixture.tails is None:
        fall = graph("Mul", squared, graph.reals(np.array(0.5)))
    else:
        per_degree = graph("Mul", squared, graph.reals(1.0 / mixture.tails))
        halves = graph.reals(0.5 * (mixture.tails + mixture.n_features))
        fall = graph("Mul", _log_of_one_plus(graph, per_degree), halves)
    joint = graph("Sub", graph.reals(mixture.log_scale), fall)
    if mixture.noise is None:
        return joint
    first = graph("Slice", squared, graph.integers([0]), graph.integers([1]), graph.integers([1]))
    zero = graph("Sub", first, first)  # NaN where a row has NaN
    constant = graph("Add", zero, graph.reals(np.array(mixture.noise.log_joint)))
    return graph("Concat", joint, constant, axis=1)


def _log_of_one_plus(graph: _Graph, y: str) -> str:
    """``log(1 + y)`` to full precision for small y: ``y log(u) / (u - 1)`` with ``u = 1 + y``
    rounded (Kahan; Goldberg 1991, theorem 4).
    """
    one, zero = graph.reals(np.array(1.0)), graph.reals(np.array(0.0))
    rounded = graph("Add", y, one)
    step = graph("Sub", rounded, one)
    vanishes = graph("Equal", step, zero)
    safe = graph("Where", vanishes, one, step)
    ratio = graph("Div", graph("Log", rounded), safe)
    return graph("Mul", y, graph("Where", vanishes, one, ratio))


# ---- the graph -----------------------------------------------------------------------------------


class _Graph:
    """Nodes and constants, made one after the other; a call returns the name of its output."""

    def __init__(self, precision: Precision) -> None:
        self.onnx = _package()
        self.precision = precision
        self.real = getattr(self.onnx.TensorProto, "FLOAT" if precision == "float32" else "DOUBLE")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(
        self, operator: str, *inputs: str, out: str | None = None, **attributes: Any
    ) -> str:
        out = out or f"v{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [out], **attributes))
        return out

    def reals(self, values: Array) -> str:
        """A constant in the precision of the rows; one that it cannot hold is an error."""
        with np.errstate(over="ignore", under="ignore"):
            cast = np.asarray(values, dtype=self.precision)
        if (np.isinf(cast) & np.isfinite(values)).any():
            raise ValueError(
                "the parameters are outside of the range of float32. Pass precision='float64', or "
                "fit columns in other units."
            )
        return self._constant(cast)

    def integers(self, values: Any) -> str:
        """A constant of axes, bounds or labels."""
        return self._constant(np.asarray(values, dtype=np.int64))

    def _constant(self, values: NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(values, name))
        return name
