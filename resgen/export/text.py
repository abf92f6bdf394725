"""Forms without weights: source, spec and Plan as text. None of them needs torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from resgen.cost import Cost, cost, cost_of_layers
from resgen.errors import UserError, one_line
from resgen.export.subject import Subject
from resgen.plan import Block, Layer, Op, resolve
from resgen.plan.layers import Branches, Part, Residual, Shortcut
from resgen.proof import Check
from resgen.source.file import Origin, emit_source
from resgen.spec import Spec
from resgen.spec.loading import resolved_data
from resgen.spec.reading import parse_document, validate
from resgen.spec.writing import block_text
from resgen.version import __version__


def source(subject: Subject, path: Path, *, features: bool, command: str) -> str:
    """The standalone Python file; a trained network's says how its weights are loaded."""
    weights = weights_beside(subject, path)
    origin = Origin(command, weights.name if weights else "")
    return emit_source(subject.plan, features=features, origin=origin)


def weights_beside(subject: Subject, path: Path) -> Path | None:
    """The file of weights that a .py file names: the one it is of, or one beside it."""
    if subject.trained is None:
        return None
    given = Path(subject.source)
    if subject.identified is not None:
        return (
            None if given == path.with_suffix(".safetensors") else path.with_suffix(".safetensors")
        )
    return given if given.suffix == ".safetensors" else path.with_suffix(".safetensors")


def spec(subject: Subject, command: str) -> str:
    """The resolved spec as YAML, under two lines that say where it is from.

    Raises UserError for a folded network.
    """
    if subject.folded is not None:
        raise UserError(
            f"{subject.source}: its batch norms are folded, which no spec says; write the spec of "
            "the file it was made from"
        )
    about = [f"# {subject.spec.name}, every key written out by resgen {__version__}"]
    about += [f"# {one_line(command)}"] if command else []
    if subject.identified is not None:
        return subject.identified.text(about)
    return "\n".join([*about, block_text(resolved_data(subject.spec))])


def check_spec(subject: Subject, text: str) -> Check:
    """That the written spec is read as the same network."""
    found = resolve(validate(Spec, parse_document(text, "the written spec")))
    blocks = f"{found.blocks} block{'' if found.blocks == 1 else 's'}"
    same = found == subject.plan
    which = "the same Plan" if same else "another Plan"
    text = f"it is read as {which}: {blocks}, {cost(found).params:,} params"
    return Check("yaml", same, text)


def plan(subject: Subject) -> str:
    """The Plan as JSON: every layer with its call, arguments, shapes, params and MACs."""
    books, given = cost(subject.plan), subject.plan
    data = {
        "resgen": __version__,
        "name": given.name,
        "input": given.input,
        "classes": given.classes,
        "params": books.params,
        "macs": books.macs,
        "stem": _row(given.stem),
        "stages": [
            {
                "name": stage.name,
                "output": stage.output,
                "before": stage.before,
                "runs": [
                    {"first": run.first, "count": run.count, "block": _block(run.block)}
                    for run in stage.runs
                ],
            }
            for stage in given.stages
        ],
        "head": _row(given.head),
    }
    return json.dumps(data, indent=1) + "\n"


def check_plan(subject: Subject, text: str) -> Check:
    """That the layers of the file, counted as often as they stand, cost what the network does."""
    data, books = json.loads(text), cost(subject.plan)
    rows = [(1, data["stem"]), (1, data["head"])]
    for stage in data["stages"]:
        for run in stage["runs"]:
            block = run["block"]
            rows += [(run["count"], block[key]) for key in ("main", "after")]
            rows.append((run["count"], block["shortcut"]["layers"]))
            rows.append((run["count"], [block["gate"]] if block["gate"] else []))
    params, macs = (
        sum(count * layer[key] for count, row in rows for layer in row)
        for key in ("params", "macs")
    )
    found = f"its layers add up to {params:,} params and {macs:,} MACs"
    return Check("json", (params, macs) == (books.params, books.macs), found)


def _block(block: Block) -> dict[str, Any]:
    return {
        "kind": block.kind,
        "input": block.input,
        "output": block.output,
        **_unit(block.main, block.shortcut, block.merge.gate, block.leaves_after),
        "after": _row(block.after),
    }


def _unit(
    main: tuple[Layer, ...], shortcut: Shortcut, gate: Layer | None, leaves_after: int
) -> dict[str, Any]:
    return {
        "main": _row(main),
        "leaves_after": leaves_after,
        "shortcut": {"kind": shortcut.kind, "layers": _row(shortcut.layers)},
        "gate": _layer(gate) if gate else None,
    }


def _row(layers: tuple[Layer, ...]) -> list[dict[str, Any]]:
    return [_layer(layer) for layer in layers]


def _layer(layer: Layer) -> dict[str, Any]:
    books: Cost = cost_of_layers((layer,))
    return {
        "name": layer.name,
        **_op(layer.op),
        "input": layer.input,
        "output": layer.output,
        "params": books.params,
        "macs": books.macs,
    }


def _op(op: Op) -> dict[str, Any]:
    """A layer's call and arguments, or the layers that it holds."""
    if isinstance(op, Branches):
        return {
            "branches": [_row(path) for path in op.paths],
            "takes": op.takes,
            "carry": op.carry,
            "join": op.join,
            "joiner": _layer(op.joiner) if op.joiner else None,
        }
    if isinstance(op, Residual):
        return {"unit": _unit(op.main, op.shortcut, op.merge.gate, op.leaves_after)}
    if isinstance(op, Part):
        return {"definition": op.title, "layers": _row(op.layers)}
    arguments = {
        name: _op(value) if hasattr(value, "torch") else value  # type: ignore[arg-type]
        for name, value in op._asdict().items()
    }
    return {"call": op.torch, "arguments": arguments}
