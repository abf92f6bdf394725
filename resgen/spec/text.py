"""Spec -> YAML text, as a person would have written it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resgen.errors import one_line
from resgen.spec.language import LANGUAGE
from resgen.spec.model import Spec
from resgen.spec.writing import flow_text

# Keys that say how a spec came about or what it is checked against, not what is built.
_NOT_WRITTEN = {"extends", "regnet", "reference"}
_FIRST = ("language", "name", "depth", "input", "stem")
_LAST = ("stages", "head", "classes")


def plain(spec: Spec) -> dict[str, Any]:
    """The keys that were written, RegNet and `extends` written out, in today's language."""
    data = spec.model_dump(mode="json", exclude_unset=True, exclude=_NOT_WRITTEN)
    if spec.regnet is not None:
        data["stages"] = [stage.model_dump(mode="json", exclude_none=True) for stage in spec.stages]
    data["language"] = LANGUAGE
    return {key: _simple(key, value) for key, value in data.items() if value is not None}


def _simple(key: str, value: Any) -> Any:
    """A word for {kind: word}, one number for a square."""
    if isinstance(value, Mapping):
        if set(value) == {"kind"} and key != "stem":
            return value["kind"]
        return {name: _simple(name, inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        if key == "size" and len(set(value)) == 1:
            return value[0]
        return [_simple("", item) for item in value]
    return value


def ordered(data: Mapping[str, Any]) -> dict[str, Any]:
    """The keys as a person would have them: what it is, its blocks, its stages."""
    order = [*_FIRST, *(key for key in data if key not in (*_FIRST, *_LAST)), *_LAST]
    return {key: data[key] for key in order if key in data}


def spec_text(data: Mapping[str, Any], *comments: str) -> str:
    """The YAML of plain values, one stage a line, comments on top."""
    lines = [f"# {one_line(comment)}" for comment in comments]
    for key, value in ordered(data).items():
        if key == "stages":
            lines.append("stages:")
            lines += [f"  - {flow_text(stage)}" for stage in value]
        else:
            lines.append(f"{key}: {flow_text(value)}")
    return "\n".join(lines) + "\n"
