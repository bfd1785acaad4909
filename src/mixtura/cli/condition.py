"""mixtura condition: the distribution of the other columns of a model, given values of some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mixtura.base.numbering import capitalised, component_name
from mixtura.cli.console import PlainConsole, consoles, grid, notes, print_json
from mixtura.cli.exit_codes import DONE, UsageError
from mixtura.cli.formatting import rounded_like, with_spread
from mixtura.cli.options import Force, Json, Output, quantile_levels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixtura.distribution.mixture import Mixture

FAMILIES = {"Dense": ("EEE", "VVV"), "Diagonal": ("EEI", "VVI"), "Spherical": ("EII", "VII")}
"""The family of each form of covariances: with one matrix for all components, and with own ones."""


def run(
    model: Path,
    /,
    *,
    given: Annotated[
        tuple[str, ...], Parameter(consume_multiple=False, negative=(), show_default=False)
    ],
    quantiles: str = "0.05,0.5,0.95",
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> int:
    """The distribution of the other columns of a saved model, given values of some.

    It is a mixture again: the weights, means and standard deviations of its components are printed,
    then mean, standard deviation and quantiles of each column. Explained in docs/regression.md.

    Parameters
    ----------
    model
        A model.safetensors that 'mixtura fit' wrote.
    given
        A column and its value, such as eruptions=3.5; may be given several times.
    quantiles
        Probabilities of the quantiles, separated by commas.
    output
        Model file for the mixture of the other columns.
    """
    from mixtura.estimators.model_file import load_model
    from mixtura.inputs.writing import refuse_to_overwrite

    levels, values = quantile_levels(quantiles), _values(given)
    refuse_to_overwrite([output] if output else [], force)
    out, err, _ = consoles(json=json)
    with notes(err):
        loaded = load_model(model)
        joint = replace(loaded.mixture, columns=loaded.feature_names)
        mixture: Mixture = joint.condition(values)
    document = {"model": str(model), "given": values, **_document(mixture, levels)}
    if output:
        _save(output, mixture, document)
        document["output"] = str(output)
    _report(out, document)
    if json:
        print_json(document)
    return DONE


def _values(given: Sequence[str]) -> dict[str, float]:
    """``name=value`` words as numbers by name; a name may have an equals sign in it."""
    values: dict[str, float] = {}
    for word in given:
        name, sign, text = word.rpartition("=")
        name = name.strip()
        try:
            value = float(text)
        except ValueError:
            value = None
        if not sign or not name or value is None:
            raise UsageError(
                f"--given must be a column and a number, such as eruptions=3.5, but got {word!r}."
            )
        if name in values:
            raise UsageError(f"--given names {name!r} twice; give it one value.")
        values[name] = value
    if not values:
        raise UsageError("--given must have a column and its value, such as --given eruptions=3.5.")
    return values


def _document(mixture: Mixture, levels: Mapping[str, float]) -> dict[str, Any]:
    """The mixture as plain values."""
    import numpy as np

    names = mixture.columns or ()
    from mixtura.distribution.mean_and_covariance import inflation

    scales = np.sqrt(np.einsum("kjj->kj", mixture.covariance.dense()))
    tails = mixture.tails
    deviations = scales if tails is None else scales * np.sqrt(inflation(tails))[:, None]
    probabilities = np.array(list(levels.values()))

    def by_name(values: Any) -> dict[str, float]:
        return dict(zip(names, np.asarray(values).tolist(), strict=True))

    parts = [
        {
            "component": k,
            "weight": float(mixture.weights[k]),
            "mean": by_name(mixture.means[k]),
            "sd": by_name(deviations[k]),
            "degrees_of_freedom": None if tails is None else float(tails[k]),
        }
        for k in range(mixture.n_components)
    ]
    return {
        "columns": list(names),
        "mean": by_name(mixture.mean()),
        "sd": by_name(mixture.std()),
        "covariance": mixture.cov().tolist(),
        "quantiles": {
            name: dict(zip(levels, mixture.marginal(name).ppf(probabilities).tolist(), strict=True))
            for name in names
        },
        "noise_weight": 0.0 if mixture.noise is None else mixture.noise.weight,
        "components": parts,
    }


def _report(out: PlainConsole, document: Mapping[str, Any]) -> None:
    """Print the mixture."""
    names = document["columns"]
    given = ", ".join(f"{name} = {value:g}" for name, value in document["given"].items())
    out.say(f"{', '.join(names)} given {given}", style="bold")
    for part in document["components"]:
        means = ", ".join(
            f"{name} {with_spread(part['mean'][name], part['sd'][name])}" for name in names
        )
        tails = part["degrees_of_freedom"]
        heavy = "" if tails is None else f", {tails:.3g} degrees of freedom"
        who = capitalised(component_name(part["component"]))
        out.say(f"{who}: {100 * part['weight']:.1f} %{heavy}\n  {means}")
    if document["noise_weight"]:
        out.say(f"Noise: {100 * document['noise_weight']:.1f} %")
    levels = list(next(iter(document["quantiles"].values())))
    table = grid("", "mean", "std. dev.", *levels, title="\nAll together")
    for name in names:
        sd = document["sd"][name]
        numbers = (document["mean"][name], sd, *document["quantiles"][name].values())
        table.add_row(name, *(rounded_like(sd, value) for value in numbers))
    out.print(table)
    if "output" in document:
        out.say(f"Wrote {document['output']}")


def _save(path: Path, mixture: Mixture, document: Mapping[str, Any]) -> None:
    """Write the mixture as a model file, by the family of its form."""
    from mixtura.estimators.model_file import jsonable, save_model

    covariance = mixture.covariance
    shared, own = FAMILIES[type(covariance).__name__]
    metadata = {"given": document["given"], "model": document["model"]}
    save_model(
        path,
        mixture,
        family=shared if len(covariance.values) == 1 < mixture.n_components else own,
        feature_names=document["columns"],
        metadata=jsonable(metadata),
    )
