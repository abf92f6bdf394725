"""`--help` and wrong options: panels, exit codes, 80 columns, one sentence a mistake."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from resgen.cli import app, main
from resgen.cli.help import EXIT_CODES

GROUP = typer.main.get_command(app)
COMMANDS = tuple(GROUP.commands)  # type: ignore[attr-defined]


def printed(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=" ".join)
def test_help_fits_and_says_the_exit_codes(command: tuple[str, ...]) -> None:
    text = printed(*command, "--help")
    assert text == printed(*command, "-h")
    assert max(map(len, text.splitlines())) <= 80
    assert EXIT_CODES in " ".join(text.split())


def test_the_exit_codes_are_those_of_the_errors() -> None:
    from resgen import errors

    for kind in (errors.CheckFailed, errors.UserError, errors.Diverged, errors.Interrupted):
        assert f" {kind.exit_code} " in f" {EXIT_CODES} "


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_stands_in_one_panel(command: str) -> None:
    text = printed(command, "--help")
    parameters = GROUP.commands[command].params  # type: ignore[attr-defined]
    heads = [line[:-1] for line in text.splitlines() if line[:1].isalpha() and line.endswith(":")]
    assert heads[-1] == "Options"
    for each in parameters:
        if each.param_type_name == "option":
            name = each.opts[-1]
            shown = [
                line
                for line in text.splitlines()
                if f" {name} " in f"{line[:32].replace(',', ' ')} "
                and line[:4].strip().startswith("-")
            ]
            assert len(shown) == 1, name
            assert each.rich_help_panel is None or each.rich_help_panel in heads


def test_training_has_its_options_in_panels() -> None:
    text = printed("train", "--help")
    for panel in ("What is trained", "Seeds", "The run and its start", "Where it runs", "Images"):
        assert f"\n{panel}:\n" in text


def test_every_command_is_in_a_panel_with_its_whole_sentence() -> None:
    text = " ".join(printed("--help").split())
    for name in COMMANDS:
        first = " ".join(GROUP.commands[name].help.partition("\n\n")[0].split())  # type: ignore[attr-defined]
        assert f" {name} {first}" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["lits"], "no such command 'lits'. Did you mean 'list'? `resgen --help`"),
        (["list", "--familly", "x"], "no such option: --familly"),
        (["train"], "missing argument 'SPEC'; `resgen train --help`"),
        (["list", "--sort", "size"], "invalid value for '--sort'"),
    ],
)
def test_a_wrong_option_gets_one_sentence(
    words: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["resgen", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {sentence}")
    assert line.endswith("--help` says what there is")


def test_no_command_is_the_help_and_a_mistake() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "resgen"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "summarize" in done.stderr
