"""`resgen summarize`: nobody waits for a measurement without having been told."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from resgen.cli import app
from resgen.errors import UserError
from resgen.proof import effort

LARGE = "name: large\nextends: imagenet/resnet50\ninput: {channels: 3, size: 10000}\n"


def test_a_measurement_of_hours_is_refused_and_the_closed_form_given(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(LARGE)
    result = CliRunner().invoke(app, ["summarize", str(path)])
    assert isinstance(result.exception, UserError)
    assert "large: measuring it would take about" in str(result.exception)
    assert "--no-measure" in str(result.exception)
    assert result.stdout == ""
    unmeasured = CliRunner().invoke(app, ["summarize", "--no-measure", str(path)])
    assert unmeasured.exit_code == 0
    assert "10000x10000" in unmeasured.stdout


def test_one_that_takes_long_is_announced_beside_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quiet = CliRunner().invoke(app, ["summarize", "digits/resnet20"])
    monkeypatch.setattr(effort, "LONG", 0)
    result = CliRunner().invoke(app, ["summarize", "digits/resnet20"])
    assert result.stderr.startswith("resnet20: measuring it takes about ")
    assert "measuring" not in quiet.stderr
    assert result.stdout == quiet.stdout
