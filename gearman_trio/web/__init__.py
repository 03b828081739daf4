"""What a job server does, over HTTP: health, metrics, a JSON interface, as one ASGI application.

    app = make_app(server)                            mount it in an application of your own, or
    await nursery.start(serve_web, server)            have it served beside the job server

The application reads `gearman_trio.Server.statistics`, and nothing of it runs unless somebody asks.  Importing this
package needs the extra ``web``.
"""

from __future__ import annotations

from ..errors import ConfigError

try:
    from .app import make_app
    from .history import History, Sample
    from .serving import WebLimits, serve_web
except ModuleNotFoundError as exc:
    raise ConfigError(f"the web interface needs {exc.name}: pip install 'gearman-trio[web]'") from exc

__all__ = ["History", "Sample", "WebLimits", "make_app", "serve_web"]
