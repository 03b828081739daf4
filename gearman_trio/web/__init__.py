"""What a job server does, and jobs for it, over HTTP, as ASGI applications.

    app = make_app(server)                            health, metrics, a JSON interface: mount it in an application, or
    await nursery.start(serve_web, server)            have it served beside the job server
    app = make_gateway(server)                        jobs by gearmand's protocol over HTTP, likewise
    await nursery.start(serve_gateway, server)

Nothing of them runs unless somebody asks.  Importing this package needs the extra ``web``.
"""

from __future__ import annotations

from ..errors import ConfigError

try:
    from .app import make_app
    from .door import JobLimits
    from .gateway import make_gateway
    from .history import History, Sample
    from .results import Results
    from .serving import WebLimits, serve_gateway, serve_web
except ModuleNotFoundError as exc:
    raise ConfigError(f"the web interface needs {exc.name}: pip install 'gearman-trio[web]'") from exc

__all__ = [
    "History",
    "JobLimits",
    "Results",
    "Sample",
    "WebLimits",
    "make_app",
    "make_gateway",
    "serve_gateway",
    "serve_web",
]
