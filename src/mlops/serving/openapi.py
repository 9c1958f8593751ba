"""The endpoint's description for clients such as Power BI, generated from `serving.json`."""

from __future__ import annotations

from typing import Any

from mlops.serving.columns import json_schema
from mlops.spec.schema import ModelSchema


def document(schema: ModelSchema, version: int, *, swagger: bool) -> dict[str, Any]:
    """OpenAPI 3.0.3, or Swagger 2.0 as Azure ML's clients read it."""
    row = {
        "type": "object",
        "properties": {c.name: _column(c, swagger) for c in schema.columns},
        "required": [c.name for c in schema.columns],
        "additionalProperties": False,
    }
    records = {"type": "array", "items": row, "minItems": 1}
    split = {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "index": {"type": "array", "items": {}},
            "data": {"type": "array", "items": {"type": "array", "items": {}}},
        },
        "required": ["columns", "data"],
    }
    number: dict[str, Any] = {"type": "number", "format": "double"}
    one = {"type": "array", "items": number} if schema.task == "multiclass" else number
    answer = {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": one}},
        "required": ["predictions"],
    }
    bodies = {
        "/score": {"type": "object", "properties": {"data": records, "input_data": split}},
        "/invocations": {
            "type": "object",
            "properties": {"dataframe_records": records, "dataframe_split": split, "instances": records},
        },
    }
    info = {"title": schema.model, "version": str(version), "description": _meaning(schema)}
    paths = {path: {"post": _operation(path, body, answer, swagger)} for path, body in bodies.items()}
    key = {"type": "apiKey", "name": "Authorization", "in": "header", "description": "Bearer <key>"}
    if swagger:
        return {
            "swagger": "2.0",
            "info": info,
            "schemes": ["http", "https"],
            "consumes": ["application/json"],
            "produces": ["application/json"],
            "securityDefinitions": {"key": key},
            "security": [{"key": []}],
            "paths": paths,
        }
    return {
        "openapi": "3.0.3",
        "info": info,
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{"key": []}],
        "paths": paths,
    }


def _column(column: Any, swagger: bool) -> dict[str, Any]:
    schema = json_schema(column)
    if column.nullable:
        schema["x-nullable" if swagger else "nullable"] = True
    return schema


def _operation(path: str, body: Any, answer: Any, swagger: bool) -> dict[str, Any]:
    texts = {
        "200": "The predictions, in the order of the rows.",
        "400": "Not JSON.",
        "401": "No key was given.",
        "403": "The key is wrong.",
        "404": "The deployment named by azureml-model-deployment does not exist.",
        "413": "Too many bytes or rows.",
        "415": "The content type is not JSON.",
        "422": "A column or a value is not what the model takes; the answer names it.",
        "429": "Too many requests wait; come back after Retry-After seconds.",
        "500": "The model failed.",
        "503": "No deployment is ready.",
    }
    error = {
        "type": "object",
        "properties": {"error": {"type": "object"}, "request_id": {"type": "string"}},
        "required": ["error"],
    }
    responses: dict[str, Any] = {}
    for status, text in texts.items():
        schema = answer if status == "200" else error
        content = {"schema": schema} if swagger else {"content": {"application/json": {"schema": schema}}}
        responses[status] = {"description": text, **content}
    operation = {"operationId": path.strip("/"), "summary": "Predict rows.", "responses": responses}
    if swagger:
        return {
            **operation,
            "parameters": [{"name": "body", "in": "body", "required": True, "schema": body}],
        }
    return {
        **operation,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
    }


def _meaning(schema: ModelSchema) -> str:
    if schema.task == "binary":
        positive = schema.classes[-1] if schema.classes else "1"
        return f"Each prediction is the probability of class {positive!r}."
    if schema.task == "multiclass":
        return f"Each prediction is a list of probabilities of the classes {', '.join(schema.classes)}."
    return "Each prediction is a number."
