"""Plain values -> YAML that the reader reads as the same values."""

from __future__ import annotations

import yaml

from resgen.spec.reading import Loader


class _Dumper(yaml.SafeDumper):
    """Quotes a word that the reader would take for a number, or that YAML 1.1 would."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - yaml reads it from the class
        first: [
            *Loader.yaml_implicit_resolvers.get(first, ()),
            *yaml.SafeDumper.yaml_implicit_resolvers.get(first, ()),
        ]
        for first in {**Loader.yaml_implicit_resolvers, **yaml.SafeDumper.yaml_implicit_resolvers}
    }

    def ignore_aliases(self, data: object) -> bool:
        """A value is written out wherever it stands."""
        return True


def flow_text(value: object) -> str:
    """A value in one line: {depth: 3, width: 64}."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def block_text(value: object) -> str:
    """A mapping a key a line, what is innermost in flow style."""
    return yaml.dump(value, Dumper=_Dumper, default_flow_style=None, sort_keys=False, width=100)
