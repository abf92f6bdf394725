"""A path or a shipped name -> a Spec."""

from __future__ import annotations

from pathlib import Path

from resgen import shipped
from resgen.reading import read_document, validate
from resgen.spec import Spec


def load_spec(source: str | Path) -> Spec:
    """The Spec of a YAML file or of a shipped name (`cifar/resnet56`, or `resnet56`).

    Raises UserError, with file, line and column, for anything that is not a valid spec.
    """
    document = read_document(shipped.find("spec", str(source)))
    spec = validate(Spec, document)
    spec._document = document
    return spec
