"""Trained weights on their own: a .safetensors file, and the class that takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor, nn

from resgen.export.compare import compared
from resgen.export.subject import Subject
from resgen.plan import Plan, resolve
from resgen.plan.folding import fold
from resgen.proof import Check
from resgen.source.module import build_undrawn, import_source
from resgen.spec import load_spec
from resgen.tensors.metadata import parse


def safetensors(subject: Subject) -> tuple[bytes, Check]:
    """The weights with what they are of, and that the file alone rebuilds the network."""
    content = _settled(save(subject.weights), subject.metadata.words())
    said = parse(_header(content)[0]["__metadata__"], Path("the file"))
    plan = resolve(load_spec(said.network))
    rebuilt = _loaded(fold(plan).plan if said.folded else plan, load(content))
    what = f"the file alone rebuilds the network, {len(subject.weights)} tensors"
    return content, compared(".safetensors", what, rebuilt, subject.module, subject.images, (1,))


def source_takes(subject: Subject, source: str) -> Check:
    """That the class of an emitted file takes the weights, and puts out what they did."""
    file = import_source(source)
    model: nn.Module = getattr(file, file.__all__[0])()
    model.load_state_dict(subject.weights)
    what = f"its class takes the weights, {len(subject.weights)} tensors"
    return compared(".safetensors", what, model.eval(), subject.module, subject.images, (1,))


def _header(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a .safetensors file, eight bytes of length and JSON, and what is behind it."""
    end = 8 + int.from_bytes(content[:8], "little")
    found: dict[str, Any] = json.loads(content[8:end])
    return found, content[end:]


def _settled(content: bytes, words: dict[str, str]) -> bytes:
    """The file with metadata, whose words safetensors puts in another order each time."""
    tensors, data = _header(content)
    header = json.dumps({"__metadata__": words, **tensors}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data


def _loaded(plan: Plan, weights: dict[str, Tensor]) -> nn.Module:
    module = build_undrawn(plan)
    module.load_state_dict(weights)
    return module.eval()
