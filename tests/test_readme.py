"""The README's sessions are what the commands print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MINE = """\
name: mine
input: {channels: 3, size: 32}
stem: {kind: conv3x3, width: 16}
block: basic
shortcut: identity
stages: [{depth: 3, width: 16},
  {depth: 3, widht: 32, stride: 2}]
classes: 10
"""


def sessions() -> list[tuple[str, str]]:
    """(command, what the README says it prints) of every session block."""
    found = []
    for block in re.findall(r"```\n(\$ .*?)```", README, re.S):
        command, _, printed = block.partition("\n")
        found.append((command.removeprefix("$ "), printed))
    return found


def printed(command: str, cwd: Path) -> str:
    bin_ = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-c", f"PATH={bin_}:$PATH; {command} 2>&1"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize(("command", "expected"), sessions(), ids=lambda text: text[:50])
def test_a_session_prints_what_the_readme_says(command: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    assert printed(command, tmp_path) == expected


def test_there_are_sessions_to_check() -> None:
    assert len(sessions()) >= 3


def test_the_spec_in_the_readme_is_resnet50() -> None:
    from resgen import load_spec, resolve
    from resgen.spec import Spec
    from resgen.spec.reading import parse_document, validate

    text, _ = re.findall(r"```yaml\n(.*?)```", README, re.S)
    shown = resolve(validate(Spec, parse_document(text, "README")))
    assert shown == resolve(load_spec("imagenet/resnet50"))


def test_the_block_in_the_readme_is_efficientnets() -> None:
    """Of the same cost as timm's, stage by stage, where a stage's kernels are 3x3."""
    import timm
    import yaml

    from resgen import cost, emit_source

    _, text = re.findall(r"```yaml\n(.*?)```", README, re.S)
    spec = {
        "name": "stage",
        "input": {"channels": 24, "size": 56},
        "stem": [],
        "shortcut": "identity-same",
        "activation": "silu",
        "stages": [{"depth": 3, "width": 80, "stride": 2}],
        "classes": 0,
        **yaml.safe_load(text),
    }
    theirs = timm.create_model("efficientnet_b0").blocks[3]
    first, rest = theirs[0].conv_pw.in_channels, sum(p.numel() for p in theirs.parameters())
    spec["input"] = {"channels": first, "size": 28}
    assert cost(spec).params == rest
    source = emit_source(spec)
    assert "class Squeeze(nn.Module):" in source
    assert "class Mbconv(nn.Module):" in source


def test_the_python_in_the_readme_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    names: dict[str, object] = {}
    exec(code, names)
    assert eval("cost(plan).macs", names) == 125_485_696


def test_the_length_it_states_is_that_of_the_file() -> None:
    from resgen import emit_source, load_spec, resolve

    lines = len(emit_source(resolve(load_spec("imagenet/resnet50"))).splitlines())
    assert f"formatted, {lines} lines" in README


def test_what_the_neighbours_count() -> None:
    timm = pytest.importorskip("timm")
    import torch
    import torchvision
    from fvcore.nn import FlopCountAnalysis

    module = torchvision.models.resnet50().eval()
    counted = FlopCountAnalysis(module, torch.zeros(1, 3, 224, 224)).unsupported_ops_warnings(False)
    found = counted.by_operator()
    for number in (
        counted.total(),
        found["conv"] + found["linear"],
        found["batch_norm"],
        found["adaptive_avg_pool2d"],
    ):
        assert f"{number:,}" in README
    version = re.search(r"timm \|.*?([\d,]+) and ([\d,]+) \((\S+)\)", README)
    assert version is not None
    if timm.__version__ == version[3]:
        names, weights = timm.list_models(), timm.list_models(pretrained=True)
        assert (f"{len(names):,}", f"{len(weights):,}") == version.groups()[:2]
