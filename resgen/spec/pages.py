"""The spec's models -> docs/spec.md, for readers; with --write, everything that is made of them.

python -m resgen.spec.pages --write     renews spec.schema.json, docs/spec.md and docs/paths.md
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from resgen.spec import path_schema
from resgen.spec.attention import Attention
from resgen.spec.block import BlockKeys, StageKeys
from resgen.spec.language import LANGUAGE
from resgen.spec.model import Spec
from resgen.spec.norms import Activation, Norm
from resgen.spec.parts import (
    DropPath,
    Head,
    Input,
    Keys,
    ShortcutMode,
    Stem,
)
from resgen.spec.regnet import RegNet
from resgen.spec.schema import SCHEMA_FILE, schema, schema_text, unit_of

_DOCS = Path(__file__).parents[2] / "docs"
DOCS_FILE = _DOCS / "spec.md"
PATHS_FILE = _DOCS / "paths.md"

_SECTIONS: tuple[tuple[str, type[Keys], str], ...] = (
    ("The network", Spec, ""),
    ("Keys that describe a block", BlockKeys, ""),
    ("`stages`", StageKeys, "A list, first to last. A stage may give any key of a block, too."),
    ("`input`", Input, ""),
    ("`stem`", Stem, ""),
    ("`shortcut`", ShortcutMode, "A word alone is its `kind`: `shortcut: projection`."),
    ("`attention`", Attention, "A word alone is its `kind`: `attention: eca`."),
    ("`norm`", Norm, "A word alone is its `kind`: `norm: group`."),
    ("`activation`", Activation, "A word alone is its `kind`: `activation: silu`."),
    (
        "`regnet`",
        RegNet,
        "In place of `stages`. `bottleneck_ratio` holds for the widths, too; where it is not said "
        "it is 1 here, as in the paper, and not a bottleneck's 4.",
    ),
    ("`drop_path`", DropPath, "A number alone is its `rate`: `drop_path: 0.2`."),
    ("`head`", Head, ""),
)

_INTRODUCTION = """# The spec

<!-- Written by `python -m resgen.spec.pages --write` from the models in resgen/spec/. -->

A network is one YAML mapping. Nothing in it is rounded or guessed: the number written is
the number built, and a key that would mean nothing where it stands is refused.

```yaml
# yaml-language-server: $schema=spec.schema.json
name: resnet50
input: {channels: 3, size: 224}
stem: {kind: conv7x7-pool, width: 64}
block: bottleneck
shortcut: projection
stages:
  - {depth: 3, width: 256}
  - {depth: 4, width: 512, stride: 2}
  - {depth: 6, width: 1024, stride: 2}
  - {depth: 3, width: 2048, stride: 2}
classes: 1000
```

A key that describes a block stands at the top for all stages, in a stage for its blocks, or
in one entry of a stage's `blocks` for that block; the innermost that speaks is right.

Editors with a YAML language server complete and check a spec by its first line. It names the
schema, which `resgen schema > spec.schema.json` writes and `resgen schema --path` finds where
resgen is installed.

A key means something if the network would be another without it. One that would not is refused,
with the reason: `projection` beside `shortcut: identity`, `zero_init: last` where no block has a
shortcut, `groups` beside a `regnet`, a key of the top that every stage overrides. What holds anyway
may be written out: a default, what a level above says, a number that comes out the same. And
nothing has to be made of `name`, `depth`, `reference`, and of what `define` names for others.

`extends: imagenet/resnet50` takes every key of another spec that this one does not give, but
for its `name`, `depth` and `reference`. Mappings such as `stem` are merged key by key, under
another `kind`, too: keys that belong to other kinds alone (a `ratio` under `eca`, a parameter of
another definition) stay behind. A word alone replaces a mapping whole; a word of the base is the
`kind` of the mapping that it stands for. Lists such as `stages`, definitions and uses of them in
`block` and `projection` are replaced whole, and a key replaces its other spelling (`stages` and
`regnet`, `groups` and `group_width`, `bottleneck_ratio` and `mid_width`). An inherited key that
means nothing beside the heir's own goes, too: of `projection: avgpool-conv` nothing is left under
an heir's `shortcut: identity`. A spec that is extended extends nothing itself.
`resgen summarize --resolved` shows the outcome, with the file and line of each value.

Every command that takes a spec takes overrides, too, as many as need be:

```
resgen summarize resnet50 --with classes=10 --with stages[2].depth=12 --with input.size=288
```

An override is a path of keys, `=` and a value in YAML; `stages[0]` is the first stage, `stages[-1]`
the last. It holds over the spec and what that extends, and is merged as the same key of a spec
that extends it would be: `--with mid_width=64` takes `bottleneck_ratio` away, `--with
shortcut=none` stands in place of all that `shortcut` said and takes the `projection` with it, and
`depth` and `reference` hold no longer; the `name` stays. A word that stands for a mapping is one
to a path (`--with attention.ratio=0.25` over `attention: se`), and rows are counted (`--with
define.mine[1].width=64`, `--with define.mine.with.ratio=4`). Of two overrides of which one undoes
the other neither is taken. With several specs they hold for all. `--resolved` shows an override
behind each value that came of it, the record of a run has them, and in Python they are
`load_spec("resnet50", ["classes=10"])`.

`language: 1` says the version of the language that a spec is written in. Without it that is 1;
this page is of version {LANGUAGE}. A resgen that speaks an older one refuses the spec in one
sentence, in place of misreading it. Where a word is renamed the old one is still understood, and
a note on stderr says the new one. Specs that resgen writes say their version; CHANGELOG.md says
what changed between two.
""".replace("{LANGUAGE}", str(LANGUAGE))


def documentation() -> str:
    """docs/spec.md: every key with its meaning, unit, default and an example."""
    parts = [_INTRODUCTION]
    for title, model, note in _SECTIONS:
        parts.append(f"## {title}\n")
        if note:
            parts.append(f"{note}\n")
        parts.append("| key | meaning | values | default | example |\n|---|---|---|---|---|")
        inherited = BlockKeys.model_fields if model in (Spec, StageKeys) else {}
        found = schema() if model is Spec else schema()["$defs"][model.__name__]
        defaults = schema()["properties"]
        for key, value in found["properties"].items():
            if key in inherited:
                continue
            if model is BlockKeys:
                value = defaults[key]
            parts.append(_row(model, key, value))
        parts.append("")
    return "\n".join(parts)


def _row(model: type[Keys], key: str, value: dict[str, Any]) -> str:
    field = model.model_fields[key]
    words = _words(value)
    unit = unit_of(model.__name__, key)
    values = " ".join(f"`{word}`" for word in words) or unit
    default = value.get("default")
    if default is None:
        shown = "required" if field.is_required() else "-"
    else:
        shown = f"`{_plain(default)}`"
    example = f"`{key}: {_plain(value['examples'][0])}`"
    meaning = value["description"].replace("|", "\\|")
    return f"| `{key}` | {meaning} | {values} | {shown} | {example} |"


def _words(value: dict[str, Any]) -> list[str]:
    options = [value, *value.get("anyOf", ())]
    return next((option["enum"] for option in options if "enum" in option), [])


def _plain(value: Any) -> str:
    if isinstance(value, float) and value == int(value):
        value = int(value)
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...").replace("'", "")


BY_HAND = "<!-- What follows is written by hand. -->\n"


def main() -> None:
    """Prints the schema, or with --write renews the schema and the documentation."""
    if sys.argv[1:] == ["--write"]:
        SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
        _, _, by_hand = DOCS_FILE.read_text(encoding="utf-8").partition(BY_HAND)
        DOCS_FILE.write_text(documentation() + BY_HAND + by_hand, encoding="utf-8")
        PATHS_FILE.write_text(path_schema.documentation(), encoding="utf-8")
    else:
        sys.stdout.write(schema_text())


if __name__ == "__main__":
    main()
