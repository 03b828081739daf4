"""The sizes and shapes that the code keeps to, measured; who may import whom is import-linter's matter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = sorted(ROOT.glob("gearman_trio/**/*.py"))
BENCHMARKS = sorted(ROOT.glob("benchmarks/**/*.py"))
EVERYTHING = sorted([*PACKAGE, *BENCHMARKS, *ROOT.glob("tests/**/*.py"), *ROOT.glob("examples/**/*.py")])

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 6
MAX_NESTING = 4

#: A module may have up to 450 lines if splitting it would make it worse; say here why.
LONGER_MODULES: dict[str, str] = {}
MAX_LONGER_MODULE_LINES = 450

#: Modules are named after what they hold; a module with one of these names holds what found no place.
FORBIDDEN_NAMES = frozenset({"utils.py", "util.py", "helpers.py", "common.py", "misc.py"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[tuple[str, Function, bool]]:
    """Give every function at any depth: its dotted name, itself, whether its first argument is bound."""
    pending: list[tuple[ast.AST, str]] = [(tree, "")]
    while pending:
        parent, path = pending.pop()
        for child in ast.iter_child_nodes(parent):
            name = path
            if isinstance(child, Function):
                name = f"{path}{child.name}."
                yield name.rstrip("."), child, isinstance(parent, ast.ClassDef) and not is_static(child)
            elif isinstance(child, ast.ClassDef):
                name = f"{path}{child.name}."
            pending.append((child, name))


def is_static(function: Function) -> bool:
    return any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in function.decorator_list)


def function_lines(function: Function) -> int:
    """Count the lines from `def` to the end, without the docstring and the functions defined inside."""
    lines = set(range(function.lineno, (function.end_lineno or function.lineno) + 1))
    if ast.get_docstring(function) is not None:
        lines -= own_lines(function.body[0])
    for node in ast.walk(function):
        if isinstance(node, Function) and node is not function:
            lines -= own_lines(node)
    return len(lines)


def own_lines(node: ast.stmt) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def positional_parameters(function: Function, *, bound: bool) -> int:
    """Count what can be passed by position; a keyword-only parameter is named by every caller."""
    return len(function.args.posonlyargs) + len(function.args.args) - (1 if bound else 0)


def nesting(statements: list[ast.stmt], depth: int = 0) -> int:
    """Give the depth of the deepest block; `elif` is as deep as its `if`, an inner function starts anew."""
    deepest = depth
    for statement in statements:
        if isinstance(statement, Function | ast.ClassDef):
            continue
        for block in blocks(statement):
            deepest = max(deepest, nesting(block, depth + 1))
        for elif_ in elifs(statement):
            deepest = max(deepest, nesting([elif_], depth))
    return deepest


def blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Give the indented blocks of one statement, without the `if` that stands for an `elif`."""
    if isinstance(statement, ast.If):
        yield statement.body
        if not elifs(statement):
            yield statement.orelse
    elif isinstance(statement, ast.For | ast.AsyncFor | ast.While):
        yield statement.body
        yield statement.orelse
    elif isinstance(statement, ast.With | ast.AsyncWith):
        yield statement.body
    elif isinstance(statement, ast.Try | ast.TryStar):
        yield statement.body
        yield from (handler.body for handler in statement.handlers)
        yield statement.orelse
        yield statement.finalbody
    elif isinstance(statement, ast.Match):
        yield from (case.body for case in statement.cases)


def elifs(statement: ast.stmt) -> list[ast.If]:
    """Give the `if` that an `elif` is; an `else:` that holds one `if` differs only in its column."""
    if not isinstance(statement, ast.If) or len(statement.orelse) != 1:
        return []
    (only,) = statement.orelse
    return [only] if isinstance(only, ast.If) and only.col_offset == statement.col_offset else []


def module_findings(tree: ast.Module) -> list[str]:
    """Say what is wrong with a module as a whole, its length apart."""
    found = []
    if not ast.get_docstring(tree):
        found.append("has no docstring")
    stars = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    ]
    found += [f"line {line}: import *" for line in stars]
    return found


def function_findings(tree: ast.Module) -> list[str]:
    """Say which functions are too long, take too much, or nest too deep."""
    found = []
    for name, function, bound in functions(tree):
        lines = function_lines(function)
        parameters = positional_parameters(function, bound=bound)
        depth = nesting(function.body)
        if lines > MAX_FUNCTION_LINES:
            found.append(f"{name}: {lines} lines")
        if parameters > MAX_PARAMETERS:
            found.append(f"{name}: {parameters} positional parameters")
        if depth > MAX_NESTING:
            found.append(f"{name}: nesting {depth}")
    return found


def awaits(tree: ast.Module) -> list[int]:
    """Give the lines on which something is, or may be, awaited."""
    kinds = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    return sorted(node.lineno for node in ast.walk(tree) if isinstance(node, kinds))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# ---- the code ----------------------------------------------------------------------------------------------


def test_the_package_is_found() -> None:
    found = {relative(path) for path in PACKAGE}

    assert {"gearman_trio/__init__.py", "gearman_trio/protocol/table.py"} <= found


@pytest.mark.parametrize("path", [*PACKAGE, *BENCHMARKS], ids=relative)
def test_module_is_short(path: Path) -> None:
    limit = MAX_LONGER_MODULE_LINES if relative(path) in LONGER_MODULES else MAX_MODULE_LINES

    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit


def test_no_module_is_excused_without_need() -> None:
    short = [
        name
        for name in LONGER_MODULES
        if len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES
    ]

    assert [] == short


@pytest.mark.parametrize("path", [*PACKAGE, *BENCHMARKS], ids=relative)
def test_functions_are_short_flat_and_take_little(path: Path) -> None:
    assert [] == function_findings(parse(path))


@pytest.mark.parametrize("path", EVERYTHING, ids=relative)
def test_module_says_what_it_is_and_imports_by_name(path: Path) -> None:
    assert [] == module_findings(parse(path))


def test_no_module_is_a_drawer_for_leftovers() -> None:
    assert [] == [relative(path) for path in EVERYTHING if path.name in FORBIDDEN_NAMES]


@pytest.mark.parametrize("layer", ["protocol", "core"])
def test_sans_io_layers_never_await(layer: str) -> None:
    """The doors into the core are atomic because nothing below them can give way to another task."""
    waiting = {relative(path): awaits(parse(path)) for path in ROOT.glob(f"gearman_trio/{layer}/**/*.py")}

    assert {} == {path: lines for path, lines in waiting.items() if lines}


# ---- the measure itself ------------------------------------------------------------------------------------


def sample(text: str) -> ast.Module:
    return ast.parse(dedent(text))


def test_missing_docstring_and_star_import_are_found() -> None:
    tree = sample(
        """
        from os import *
        """
    )

    assert ["has no docstring", "line 2: import *"] == module_findings(tree)


def test_function_length_is_counted_without_docstring_and_inner_functions() -> None:
    tree = sample(
        '''
        def outer():
            """One.

            Two.
            """
            def inner():
                return 1
            return inner
        '''
    )

    assert {"outer": 2, "outer.inner": 2} == {name: function_lines(function) for name, function, _ in functions(tree)}


def test_long_function_is_found() -> None:
    body = "\n".join(["    pass"] * MAX_FUNCTION_LINES)

    assert ["long: 61 lines"] == function_findings(ast.parse(f"async def long():\n{body}"))


def test_parameters_are_counted_without_self_and_keywords() -> None:
    tree = sample(
        """
        class A:
            def fits(self, a, b, c, d, e, f, *args, g, h): ...
            def many(self, a, b, c, d, e, f, g): ...
            @staticmethod
            def many_too(a, b, c, /, d, e, f, g): ...
        """
    )

    assert ["A.many: 7 positional parameters", "A.many_too: 7 positional parameters"] == function_findings(tree)


def test_deep_nesting_is_found_in_every_kind_of_block() -> None:
    tree = sample(
        """
        async def deep():
            while a:
                try:
                    pass
                except E:
                    async with b:
                        match c:
                            case 1:
                                for d in e:
                                    pass
        """
    )

    assert ["deep: nesting 5"] == function_findings(tree)


def test_elif_is_no_deeper_but_if_inside_else_is() -> None:
    flat = sample(
        """
        if a: pass
        elif b: pass
        elif c: pass
        else: pass
        """
    )
    stairs = sample(
        """
        if a: pass
        else:
            if b: pass
            else:
                if c: pass
        """
    )

    assert [1, 3] == [nesting(flat.body), nesting(stairs.body)]


def test_inner_function_starts_its_nesting_anew() -> None:
    tree = sample(
        """
        def outer():
            if a:
                def inner():
                    if b:
                        if c: pass
        """
    )

    assert {"outer": 1, "outer.inner": 2} == {name: nesting(function.body) for name, function, _ in functions(tree)}


def test_every_way_to_wait_is_found() -> None:
    tree = sample(
        """
        def plain(): pass
        async def waits():
            await a
            async for b in c: pass
            async with d: pass
        """
    )

    assert [3, 4, 5, 6] == awaits(tree)
