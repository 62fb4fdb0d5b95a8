"""`/docs`: Swagger UI over the OpenAPI document, all of it from this server."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response, send_from_directory
from werkzeug.exceptions import NotFound

HERE = Path(__file__).parent / "swagger"
BUNDLED = ("swagger-ui.css", "swagger-ui-bundle.js")

blueprint = Blueprint("docs", __name__)


def _bundle() -> Path:
    """Where the package `swagger-ui-py` keeps the files of Swagger UI; its Python is not run."""
    spec = find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("swagger-ui-py is not installed: `pip install swagger-ui-py`")
    return Path(spec.submodule_search_locations[0]) / "static"


@blueprint.route("")
def page() -> Response:
    """The page, open to all: it shows what the API is, not what is in it."""
    return send_from_directory(HERE, "index.html")


@blueprint.route("/<name>")
def file(name: str) -> Response:
    """A script or style of the page."""
    folders = {"start.js": HERE, **dict.fromkeys(BUNDLED, _bundle())}
    if name not in folders:
        raise NotFound(f"There is no {name} here.")
    return send_from_directory(folders[name], name)
