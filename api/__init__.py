"""The REST API: one blueprint under `/api/v1`, thin routes over the domain."""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from api import (
    access,
    alerts,
    anomaly,
    areas,
    audit,
    auth,
    back_tests,
    baselines,
    bodies,
    channels,
    compression,
    displays,
    docs,
    document,
    errors,
    export,
    health,
    limits,
    live,
    machines,
    metrics,
    monitor,
    overlay,
    playback,
    replay,
    security,
    streaming,
    users,
    versions,
)
from api.answers import OrjsonProvider
from api.context import EXTENSION
from dinsight import logs
from dinsight.services import Services
from dinsight.version import version

PREFIX = "/api/v1"
REQUEST_ID = re.compile(r"[\w.:-]{1,64}")
UNKNOWN = "api_unknown"
DRAWN = ("/assets/fonts/", "/assets/icons/")  # which style sheets name, and which never change
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def register(server: Flask, services: Services) -> None:
    """Put the API, the health routes and the sign-in rules on the Flask server."""
    server.extensions[EXTENSION] = services
    server.json = OrjsonProvider(server)
    server.request_class = bodies.Request
    server.config.update(
        MAX_FORM_MEMORY_SIZE=bodies.MOST_TEXT,
        MAX_FORM_PARTS=bodies.MOST_PARTS,
    )
    if proxies := services.settings.proxies:
        fixed = ProxyFix(server.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)
        server.wsgi_app = fixed  # type: ignore[method-assign]
    server.before_request(begin_request)
    server.before_request(keep_pages_out)
    server.before_request(bodies.check)
    limits.register(server, services.settings)
    export.register(server, services.settings)
    security.register(server, services.settings, services.secret_key)
    errors.register(server)
    resources = (
        *(auth, users, audit, baselines, displays, monitor, streaming, export, playback, replay),
        *(overlay, machines, anomaly, areas, versions, channels, alerts, back_tests),
    )
    blueprints = [resource.blueprint for resource in resources]
    for blueprint in blueprints:
        server.register_blueprint(blueprint, url_prefix=PREFIX + (blueprint.url_prefix or ""))
    document.register(server, PREFIX, blueprints)
    live.register(server, PREFIX)
    server.register_blueprint(docs.blueprint, url_prefix=f"{PREFIX}/docs")
    server.register_blueprint(health.blueprint)
    for rule in ("/api/", "/api/<path:_>"):
        server.add_url_rule(rule, UNKNOWN, unknown, methods=METHODS)
    server.after_request(end_request)
    compression.register(server)
    measured = metrics.register(server, services)
    access.register(server, measured.begun, measured.ended)


def unknown(_: str = "") -> Any:
    """JSON 404, or 405 for a known path, where Dash's catch-all would answer with the page."""
    allowed = [method for method in METHODS if _is_known(method)]
    if allowed:
        raise MethodNotAllowed(valid_methods=allowed)
    raise NotFound(f"There is no {request.path} here.")


def _is_known(method: str) -> bool:
    adapter = current_app.create_url_adapter(request)
    endpoint, _ = adapter.match(request.path, method) if adapter else ("", {})
    return bool(endpoint) and endpoint != UNKNOWN


def begin_request() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    logs.request_id.set(g.request_id)


def keep_pages_out() -> None:
    """The page's catch-all also takes `/api` and `/api//x`, which no rule of ours does."""
    ours = request.url_rule is None or request.url_rule.rule.startswith("/api/")
    if request.path == "/api" or (request.path.startswith("/api/") and not ours):
        raise NotFound(f"There is no {request.path} here.")


def end_request(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.get("request_id", "")
    if request.path.startswith("/api/"):
        response.headers.setdefault("Cache-Control", "no-store")
    elif request.path.startswith("/assets/") and response.status_code < HTTPStatus.BAD_REQUEST:
        response.headers["Cache-Control"] = how_long(request.path, request.args.get("v"))
    return response


def how_long(path: str, named: str | None) -> str:
    """For how long a browser may keep a file: one that is named by this version of it, for good."""
    if named == version():
        return "public, max-age=31536000, immutable"
    return "public, max-age=86400" if path.startswith(DRAWN) else "no-cache"
