"""Random programs do the same plain and rewritten; and where a rule is switched off, that is found.

The programs are always the same ones. `make fuzz-rewrite` runs more, and keeps what fails in tests/corpus/.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fuzz import compare, programs
from fuzz.compare import PASSES, Fuzzed

import recompyle
from recompyle.rewrite import engine, locate, passes

SEED = 20
CORPUS = sorted((Path(__file__).parents[1] / "corpus").glob("*.py"))


@pytest.fixture(autouse=True, scope="module")
def frozen() -> Iterator[None]:
    """Between programs all garbage is collected: what the other tests keep need not be looked through each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Whatever a test leaves rewritten is put back."""
    yield
    recompyle.restore()


@pytest.mark.parametrize("name", PASSES)
def test_random_programs_do_the_same(name: str, tmp_path: Path) -> None:
    for number in range(4):
        text = programs.generate(SEED, number).text
        assert Fuzzed(text, number, tmp_path).differences(name) == [], text


# A sample is named after the passes under which it failed first.
@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param(path, name, id=f"{path.stem}-{name}")
        for path in CORPUS
        for name in dict.fromkeys((path.stem.partition("-")[0], "all", "everywhere"))
    ],
)
def test_what_once_failed_does_the_same(path: Path, name: str, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert Fuzzed(text, 0, tmp_path).differences(name) == []


# -- the generator -----------------------------------------------------------------------------------------


def test_a_number_stands_for_one_program() -> None:
    first, again, other = (programs.generate(SEED, number) for number in (1, 1, 2))
    assert first == again
    assert first.text != other.text
    assert programs.again(first.numbers) == first


def test_programs_hold_all_kinds_of_syntax() -> None:
    kinds = {
        type(node).__name__
        for number in range(200)
        for node in ast.walk(ast.parse(programs.generate(SEED, number).text))
    }
    wanted = [*ast.expr.__subclasses__(), *ast.stmt.__subclasses__(), *ast.pattern.__subclasses__(), ast.ExceptHandler]
    # Template strings and type aliases are of one version or another; the rest stands in every program or in none.
    left_out = {"TemplateStr", "Interpolation", "TypeAlias", "Import", "MatchStar", "Index", "ExtSlice", "Suite"}
    assert {kind.__name__ for kind in wanted} - kinds - left_out == set()


def test_programs_reach_their_ends_and_raise(tmp_path: Path) -> None:
    ways = {"returned": 0, "raised": 0, "stops with": 0}
    for number in range(40):
        text = programs.generate(SEED, number).text
        seen = Fuzzed(text, number, tmp_path).run(text)
        for way in ways:
            ways[way] += seen.output.count(f"\n{way}") + seen.output.startswith(way)
    assert min(ways.values()) > 20, ways


def test_a_failing_program_is_made_smaller() -> None:
    program = next(
        each for each in (programs.generate(SEED, number) for number in range(100)) if "match " in each.text
    )
    small = programs.shrink(program, lambda text: "match " in text, tries=300)
    assert "match " in small.text
    assert len(small.text) < len(program.text)


# -- what is to be found is found --------------------------------------------------------------------------


def found(make: Any, folder: Path, wanted: str = "", most: int = 300) -> list[str]:
    """The differences of the first program that has some, with a text among them."""
    for number in range(most):
        fuzzed = Fuzzed(programs.generate(SEED, number).text, number, folder)
        differences = fuzzed.differences("control", ("none",), make)
        if any(wanted in each for each in differences):
            return differences
    return []


@pytest.fixture
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk that proves each rewrite, and would refuse, is left out."""
    monkeypatch.setattr(engine, "match", lambda old, new, placeholders: locate.relocate(new, placeholders))
    monkeypatch.setattr(compare, "code_differences", lambda old, new, joined: [])


@pytest.mark.usefixtures("unproved")
@pytest.mark.parametrize("rule", ["_truth", "_formatting"])
def test_without_a_rule_programs_do_something_else(
    rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = tuple(each for each in passes._RULES if each.__name__ != rule)
    assert len(without) == len(passes._RULES) - 1
    monkeypatch.setattr(passes, "_RULES", without)
    differences = found(PASSES["expressions"], tmp_path)
    assert differences
    assert not any(each.startswith("refused") for each in differences)


@pytest.mark.parametrize("rule", ["_truth"])
def test_without_a_rule_the_walk_refuses(rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "_RULES", tuple(each for each in passes._RULES if each.__name__ != rule))
    assert found(PASSES["expressions"], tmp_path, "refused")


class Backwards(ast.NodeTransformer):
    """Evaluates the operands of arithmetic from right to left."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        text = ast.Tuple([node.right, node.left], ast.Load())
        swapped = ast.Subscript(text, ast.Slice(step=ast.UnaryOp(ast.USub(), ast.Constant(1))), ast.Load())
        operator = {ast.Add: "add", ast.Sub: "sub", ast.BitOr: "or_"}.get(type(node.op))
        if operator is None or any(isinstance(each, (ast.Yield, ast.Await)) for each in ast.walk(node)):
            return node
        imported = ast.Call(ast.Name("__import__", ast.Load()), [ast.Constant("operator")], [])
        call = ast.Call(ast.Attribute(imported, operator, ast.Load()), [ast.Starred(swapped, ast.Load())], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))


class Local(ast.NodeTransformer):
    """Adds a local variable."""

    def visit_Return(self, node: ast.Return) -> list[ast.stmt]:
        extra = ast.Assign([ast.Name("extra", ast.Store())], ast.Constant(1))
        return [ast.fix_missing_locations(ast.copy_location(extra, node)), node]

    visit_Expr = visit_Return  # type: ignore[assignment]


class Catching(ast.NodeTransformer):
    """Raises each exception again, from a handler that gives it another context."""

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        text = "try: pass\nexcept BaseException as error: raise error from None"
        (guarded,) = ast.parse(text).body
        assert isinstance(guarded, ast.Try)
        guarded.body = [node]
        for each in ast.walk(guarded):
            if each is not node and isinstance(each, (ast.expr, ast.stmt, ast.excepthandler)):
                ast.copy_location(each, node)
        return guarded


@pytest.mark.parametrize("fault", [Backwards, Local, Catching])
def test_faults_of_other_kinds_are_found(
    fault: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "code_differences", lambda old, new, joined: [])
    differences = found(lambda: [fault()], tmp_path)
    assert differences
    assert not any(each.startswith("refused") for each in differences)


def test_positions_that_are_not_mended_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engine.match
    monkeypatch.setattr(
        engine, "match", lambda old, new, marks: [(code, code.co_linetable) for code, _ in whole(old, new, marks)]
    )
    assert found(PASSES["calls"], tmp_path, "position")


def test_wrapper_frames_that_are_not_hidden_are_found(tmp_path: Path) -> None:
    assert found(PASSES["wrap"], tmp_path, "hand_on")
