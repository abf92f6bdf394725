"""The experiment's model -> experiment.schema.json, for editors.

python -m resgen.experiment.schema --write     renews it
"""

from __future__ import annotations

from resgen.experiment.model import Experiment
from resgen.spec.schema_files import print_or_write, text_of
from resgen.spec.shipped import schema_file

SCHEMA_FILE = schema_file("experiment")


def schema_text() -> str:
    """experiment.schema.json as it is committed."""
    return text_of(Experiment)


if __name__ == "__main__":
    print_or_write("experiment", schema_text())
