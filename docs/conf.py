"""How Sphinx builds this documentation: `nox -s docs`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent

# The documentation describes the tree that it stands in, not what happens to be installed.
sys.path[:0] = [str(ROOT), str(DOCS / "_ext")]

project = "gearman_trio"
author = "gearman_trio contributors"
copyright = "2026, gearman_trio contributors"  # noqa: A001 - Sphinx gives this setting its name
release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "command",
    "compatibility",
    "literals",
    "options",
    "public",
    "tables",
]
exclude_patterns = ["_build", "_ext", "changelog.d"]
nitpicky = True

# Docstrings mark code with single backquotes, as they are read in an editor more often than here.
default_role = "code"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_default_options = {"members": True}
autoclass_content = "both"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# No inventory of another project is fetched, so that the build needs no network.
nitpick_ignore_regex = [
    (r"py:.*", r"(builtins|collections|contextlib|enum|os|pathlib|ssl|types|typing|typing_extensions)(\..*)?"),
    (r"py:.*", r"(attr|attrs|datetime|opentelemetry|outcome|starlette|trio|typer|click)(\..*)?"),
    (r"py:.*", r"gearman_trio(\..*)?\._.*"),  # private type variables
    (r"py:.*", r"[a-z]+"),  # int, bytes, and words that napoleon takes for a type
    (r"py:(class|exc|obj)", r"(Exception|BaseException|ValueError|OSError|IntEnum|Enum|None)"),
    (r"py:(class|obj)", r".*\b_?[A-Z][A-Za-z]?\b"),  # type variables: T, _R
]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_title = f"gearman_trio {release}"
