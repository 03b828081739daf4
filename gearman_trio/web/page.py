"""The page for people: one answer, which needs no other file and asks no other host.

Its parts are in `assets`: the markup, the style, and the script in the order of the numbers in the files' names.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from starlette.responses import HTMLResponse, Response

__all__ = ["make_page"]


def make_page() -> Response:
    """The page, with a policy that lets a browser run and show just what is in it."""
    assets = files(__package__).joinpath("assets")
    parts = {each.name: each.read_text(encoding="utf-8") for each in assets.iterdir() if each.is_file()}
    style = parts["page.css"]
    script = "\n".join(parts[name] for name in sorted(parts) if name.endswith(".js"))
    text = parts["page.html"].replace("<style></style>", f"<style>{style}</style>")
    text = text.replace("<script></script>", f"<script>{script}</script>")
    policy = [
        "default-src 'none'",
        f"script-src {_hash(script)}",
        f"style-src {_hash(style)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return HTMLResponse(
        text,
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": "; ".join(policy),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _hash(content: str) -> str:
    """What a content security policy calls the one element with this content."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
