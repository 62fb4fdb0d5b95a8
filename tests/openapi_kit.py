"""Holding real answers against the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.test import TestResponse

from api import document

PATH = "/api/v1/openapi.json"
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
OUTSIDE = {document.ENDPOINT, "docs.page", "docs.file", "api_unknown"}

Json = dict[str, Any]


class Document:
    """The document as a client gets it."""

    def __init__(self, client: FlaskClient) -> None:
        answer = client.get(PATH)
        assert answer.status_code == 200, answer.text
        self.json: Json = answer.get_json()

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        """Method, path and description of everything that can be done."""
        for path, item in self.json["paths"].items():
            for method in METHODS & {name.upper() for name in item}:
                yield method, path, item[method.lower()]

    def resolved(self, part: Any) -> Any:
        """What a reference stands for."""
        while isinstance(part, dict) and "$ref" in part:
            found: Any = self.json
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            part = found
        return part

    def validator(self, schema: Json) -> Draft202012Validator:
        """Of a schema by the letter: a field that the document does not name is a fault too."""
        components = {"schemas": strict(self.json["components"]["schemas"])}
        return Draft202012Validator(
            {**strict(schema), "components": components}, format_checker=FormatChecker()
        )

    def faults(self, method: str, path: str, answer: TestResponse) -> list[str]:
        """What the document does not say of an answer."""
        operation = self.json["paths"][path][method.lower()]
        described = self.resolved(operation["responses"].get(str(answer.status_code)))
        if described is None:
            return [f"status {answer.status_code} is not described"]
        if answer.mimetype not in described["content"]:
            return [f"content type {answer.mimetype} is not described"]
        missing = [name for name in described["headers"] if name not in answer.headers]
        found = self.validator(described["content"][answer.mimetype]["schema"])
        told = answer.json if answer.is_json else answer.get_data().decode("latin-1")
        errors = [f"{error.json_path}: {error.message[:200]}" for error in found.iter_errors(told)]
        return [*(f"header {name} is missing" for name in missing), *errors]


def strict(schema: Any) -> Any:
    """The same schema, but an object holds only the fields that are named."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: strict(item) for name, item in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        inner.setdefault("additionalProperties", False)
    return inner


def template(server: Flask, method: str, path: str) -> str:
    """The path of the document that a request's path is an instance of."""
    adapter = server.url_map.bind("localhost")
    rule, _ = adapter.match(path.partition("?")[0], method, return_rule=True)
    return as_documented(rule.rule)


def as_documented(rule: str) -> str:
    """`/a/<int:b>` as `/a/{b}`."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)
