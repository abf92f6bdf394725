"""Every refusal is one line that a terminal shows as it is."""

from __future__ import annotations

import pickle

import pytest

from resgen.errors import CheckFailed, Diverged, Interrupted, UserError, one_line


@pytest.mark.parametrize("kind", [UserError, Diverged, Interrupted])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x00\x7f\x85", "\\x00\\x7f\\x85"),
        ("left\u202eright", "left\\u202eright"),
        ("not utf-8: \udcff", "not utf-8: \\udcff"),
        ("räume, 日本, ² and \\n stay", "räume, 日本, ² and \\n stay"),
    ],
)
def test_what_is_no_sign_is_written_as_its_escape(
    kind: type[UserError], text: str, shown: str
) -> None:
    assert str(kind(text)) == shown
    assert one_line(one_line(text)) == shown


def test_a_sentence_too_long_loses_its_middle_and_keeps_where_and_the_way_out() -> None:
    text = str(UserError(f"spec.yaml:3:1: {'x' * 10_000}: leave it out"))
    assert len(text) < 500
    assert text.startswith("spec.yaml:3:1: xxx")
    assert text.endswith("xxx: leave it out")
    assert str(UserError(text)) == text


def test_a_failed_check_has_a_line_for_each_thing_that_failed() -> None:
    assert str(CheckFailed("a: over\nb\x1b: over")) == "a: over\nb\\x1b: over"


def test_an_error_survives_pickling() -> None:
    assert str(pickle.loads(pickle.dumps(UserError("a\nb")))) == "a\\nb"
