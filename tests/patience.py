"""How long a test waits for what should come at once."""

from __future__ import annotations

from typing import Final

__all__ = ["PATIENCE"]

#: In seconds: nothing that a test waits for takes so long, also where the machine is slow and busy, unless it hangs.
PATIENCE: Final = 120.0
