"""An experiment's keys: read from YAML, frozen, torch-free."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from resgen.spec.checked import Checked
from resgen.spec.reading import read_model

Measure = Literal[
    "train_error", "heldout_error", "test_error", "steps", "response", "gradient", "zeroed",
    "difference",
]  # fmt: skip
Relation = Literal["above", "below", "not above", "not below", "equal"]
Words = Annotated[tuple[str, ...], Field(strict=False)]


def _member(value: Any) -> Any:
    """A network that is only named."""
    return {"spec": value} if isinstance(value, str) else value


class Fit(Checked):
    """The spec scaled to a budget, as `resgen fit` does."""

    by: Literal["width", "depth"]
    macs: str | None = None
    params: str | None = None


class Member(Checked):
    """A network of an experiment; in YAML its spec's name alone, where nothing else is said."""

    spec: Annotated[str, Field(description="A shipped name, or a file beside the experiment's.")]
    with_: Annotated[Words, Field(alias="with", description="Changes the spec: order=preact.")] = ()
    set_: Annotated[
        Words, Field(alias="set", description="Changes the recipe for this network.")
    ] = ()
    fit: Annotated[Fit | None, Field(description="Scales the spec to a budget.")] = None
    deepens: Annotated[
        str | None,
        Field(description="Begins as this trained network of the same seed, deepened to the spec."),
    ] = None


Network = Annotated[Member, BeforeValidator(_member, json_schema_input_type=str | Member)]


class Scale(Checked):
    """What an experiment is run on: data, recipe, seeds and the networks that are affordable."""

    data: Annotated[str, Field(description="As `resgen train --data`; cifar10 needs a path.")]
    recipe: Annotated[str, Field(description="A shipped recipe, or a file.")]
    set_: Annotated[Words, Field(alias="set", description="Changes the recipe.")] = ()
    seeds: Annotated[int, Field(ge=1, le=1000, description="Runs of each network.")]
    networks: Annotated[dict[str, Network], Field(min_length=1, description="By their names.")]


class Expectation(Checked):
    """`of` is `relation` `than` (another network), or `relation` `to` (a number), by `margin`."""

    measure: Measure
    of: Annotated[str, Field(description="The network that is looked at.")]
    relation: Annotated[Relation, Field(alias="is")]
    than: Annotated[str | None, Field(description="The network it is compared with.")] = None
    to: Annotated[float | None, Field(description="The value it is compared with.")] = None
    margin: Annotated[
        float, Field(ge=0, description="What counts as a difference; errors as fractions.")
    ] = 0.0

    @model_validator(mode="after")
    def _one(self) -> Expectation:
        if (self.than is None) == (self.to is None):
            raise ValueError("names either `than`, a network, or `to`, a number")
        return self


class Published(Checked):
    """A figure of a paper."""

    network: str
    value: Annotated[float, Field(description="Errors as fractions.")]
    what: Annotated[str, Field(description="The measure, by its title: test error.")]
    data: Annotated[str, Field(description="The data it was measured on: cifar10.")]
    where: Annotated[str, Field(description="Paper and table.")]


class Experiment(Checked):
    """A claim about networks, what is trained and measured for it, and when it holds."""

    title: str
    claim: Annotated[str, Field(description="One sentence, as it is tested.")]
    source: Annotated[str, Field(description="Paper, section, figure or table.")]
    said: Annotated[
        str, Field(description="What is often said beyond it, and what the data do not show.")
    ] = ""
    series: Annotated[
        dict[str, Words],
        Field(
            default_factory=dict,
            description="Networks that are drawn as one line, in order: plain, residual.",
        ),
    ]
    measures: Annotated[tuple[Measure, ...], Field(strict=False, min_length=1)] = ("train_error",)
    reach: Annotated[
        float | None, Field(gt=0, lt=1, description="Of `steps`: the training error to reach.")
    ] = None
    expect: Annotated[tuple[Expectation, ...], Field(strict=False, min_length=1)]
    published: Annotated[tuple[Published, ...], Field(strict=False)] = ()
    scales: Annotated[dict[str, Scale], Field(min_length=1)]


def read_experiment(path_or_name: str) -> Experiment:
    """The experiment of a file or a shipped name. Raises UserError."""
    from resgen.spec.shipped import find

    return read_model(Experiment, find("experiment", path_or_name))
