"""What holds between definitions, and between a path and the names it asks for."""

from __future__ import annotations

from collections.abc import Mapping

from resgen.spec.builtin import TAKEN
from resgen.spec.definitions import WORDS, Definition, Entry, Library, Use, check_name
from resgen.spec.grammar import Row, Rows, terms, walk
from resgen.spec.mistakes import guess, nearest, show
from resgen.spec.norms import ACTS
from resgen.spec.parts import broken
from resgen.spec.rows import ROWS
from resgen.spec.synonyms import meant_row
from resgen.spec.terms import NAMES, Term
from resgen.spec.values import Path_, Value


def own_library(define: Mapping[str, Entry]) -> Library:
    """A spec's definitions, checked: names, parameters, and that none uses itself."""
    if not define:
        return WORDS
    library = Library()
    for name, entry in define.items():
        place: Path_ = ("define", name)
        check_name(name, "a definition", place)
        if name in TAKEN:
            raise broken(f"{name} is a word that resgen ships; give yours another name", *place)
        library[name] = Definition(name, entry.parameters, entry.rows, place)
    for definition in library.values():
        known = {key for key, _ in definition.parameters}
        _check_values(definition.parameters, (*definition.place, "with"))
        check_rows(definition.rows, definition.place, library, known)
        used = {name for row in walk(definition.rows) for _, t in terms(row) for name in t.names}
        used |= {
            str(row.value)
            for row in walk(definition.rows)
            if row.word == "act" and isinstance(row.value, Term)
        }
        for key in sorted(known - used):
            raise broken(f"no row of {definition.name} uses it", *definition.place, "with", key)
    _check_rounds(library)
    return library


def _check_rounds(library: Library) -> None:
    """Refuses a definition that comes to itself."""
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " -> ".join((*way[way.index(name) :], name))
            raise broken(f"a definition cannot use itself: {circle}", "define", name)
        if name in done:
            return
        for row in walk(library[name].rows):
            if row.word in library:
                visit(row.word, (*way, name))
        done.add(name)

    for name in library:
        visit(name, ())


def check_rows(
    rows: Rows, base: Path_, library: Library, parameters: set[str], *, inside: bool = False
) -> None:
    """Refuses words, parameters and names of terms that nothing stands for.

    inside: the rows stand in a branch.
    """
    for row in rows:
        at = (*base, *row.path)
        if row.word not in ROWS:
            _check_use(row.word, row.given, at, library)
        for path, term in terms(row):
            for name in term.names:
                if name == "branch" and not inside:
                    raise broken(
                        "branch is what enters a branch, and this row is in none; "
                        "here is what the row before puts out",
                        *base, *path,
                    )  # fmt: skip
                if name not in NAMES and name not in parameters:
                    raise broken(_no_name(row, path, name, parameters), *base, *path)
        for path_ in row.paths:
            check_rows(path_, base, library, parameters, inside=True)


def _no_name(row: Row, path: Path_, name: str, parameters: set[str]) -> str:
    """What is said of a name in a term that nothing stands for."""
    if row.word == "act":
        known = [*ACTS, *sorted(parameters)]
        return f"must be one of {', '.join(known)} (got {name!r}){guess(name, known)}"
    names = [*NAMES, *sorted(parameters)]
    words = [word for word in ("stage", "depthwise", "same") if path[-1] in _WORDS_OF[word]]
    return f"{name} is no name here{nearest(name, [*names, *words])}"


_WORDS_OF = {
    "stage": ("stride", "dilation", "groups", "avg-pool"),
    "depthwise": ("groups",),
    "same": ("padding",),
}


def _check_use(
    word: str, given: tuple[tuple[str, Value], ...], at: Path_, library: Library
) -> None:
    if word not in library:
        meant = f"; did you mean {row}?" if (row := meant_row(word)) else None
        known = [*library, *ROWS]
        raise broken(f"{word} is no row and no definition{meant or nearest(word, known)}", *at)
    _check_keys(word, given, (*at, word), library)


def _check_keys(
    word: str, given: tuple[tuple[str, Value], ...], at: Path_, library: Library
) -> None:
    """Refuses parameters that a definition does not have."""
    known = [key for key, _ in library[word].parameters]
    for key, _ in given:
        if key not in known:
            what = nearest(key, known) if known else "; it has none"
            raise broken(f"{key} is no parameter of {word}{what}", *at, key)


def _check_values(given: tuple[tuple[str, Value], ...], at: Path_) -> None:
    """Refuses names in parameters that nothing stands for."""
    for key, value in given:
        for name in value.names if isinstance(value, Term) else ():
            if name not in NAMES or name == "branch":
                known = [name for name in NAMES if name != "branch"]
                raise broken(f"{name} is no name here{nearest(name, known)}", *at, key)


def check_use(use: Use, at: Path_, library: Library, shipped: tuple[str, ...]) -> None:
    """Refuses a word for layers that nothing stands for, and rows that are none."""
    kind = (*at, "kind") if isinstance(use.written, dict) else at
    _check_values(use.parameters, at)
    if use.rows is not None:
        check_rows(use.rows, at, library, set())
    elif use.name in library:
        _check_keys(use.name, use.parameters, at, library)
    elif use.name not in shipped:
        known = [*shipped, *library]
        meant = guess(use.name, known)
        raise broken(f"must be one of {', '.join(known)} (got {show(use.name)}){meant}", *kind)
    elif use.parameters:
        key = use.parameters[0][0]
        raise broken(f"{use.name} has no parameter {key}; its keys stand beside it", *at, key)
