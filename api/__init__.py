"""The REST API: one blueprint under `/api/v1`, thin routes over the domain."""

from __future__ import annotations

import re
import secrets
from typing import Any

from flask import Flask, Response, current_app, g, request
from flask_smorest import Api
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from api import (
    access,
    anomaly,
    auth,
    baselines,
    bodies,
    errors,
    health,
    metrics,
    monitor,
    security,
    streaming,
    users,
)
from api.answers import OrjsonProvider
from api.context import EXTENSION
from dinsight import __version__, logs
from dinsight.services import Services

PREFIX = "/api/v1"
REQUEST_ID = re.compile(r"[\w.:-]{1,64}")
UNKNOWN = "api_unknown"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class RestApi(Api):
    """flask-smorest's, but errors have the one shape of `api.errors`."""

    def _register_error_handlers(self) -> None:
        """`api.errors.register` does it."""


def register(server: Flask, services: Services) -> None:
    """Put the API, the health routes and the sign-in rules on the Flask server."""
    server.extensions[EXTENSION] = services
    server.json = OrjsonProvider(server)
    server.request_class = bodies.Request
    server.config.update(
        MAX_CONTENT_LENGTH=services.settings.max_upload_bytes,
        API_TITLE="D'insight",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=PREFIX,
        OPENAPI_JSON_PATH="openapi.json",
    )
    if proxies := services.settings.proxies:
        fixed = ProxyFix(server.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)
        server.wsgi_app = fixed  # type: ignore[method-assign]
    server.before_request(begin_request)
    server.before_request(bodies.check)
    security.register(server, services.settings, services.secret_key)
    errors.register(server)
    api = RestApi(server)
    for resource in (auth, users, baselines, monitor, streaming, anomaly):
        prefix = PREFIX + (resource.blueprint.url_prefix or "")
        api.register_blueprint(resource.blueprint, url_prefix=prefix)
    server.register_blueprint(health.blueprint)
    for rule in ("/api/", "/api/<path:_>"):
        server.add_url_rule(rule, UNKNOWN, unknown, methods=METHODS)
    server.after_request(end_request)
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


def end_request(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.get("request_id", "")
    if request.path.startswith("/api/"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response
