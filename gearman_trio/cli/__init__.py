"""The command ``gearman-trio``: options in, text and exit codes out; all work is done by the packages below."""

from __future__ import annotations

from .app import app, main

__all__ = ["app", "main"]
