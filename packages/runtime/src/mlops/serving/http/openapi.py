"""The endpoint's description for clients such as Power BI, generated from `serving.json`."""

from __future__ import annotations

from typing import Any

from mlops.serving.score.columns import json_schema
from mlops.spec.schema import ModelSchema


def document(schema: ModelSchema, version: int, *, swagger: bool) -> dict[str, Any]:
    """OpenAPI 3.0.3, or Swagger 2.0 as Azure ML's clients read it."""
    row = {
        "type": "object",
        "properties": {c.name: _column(c, swagger) for c in schema.columns},
        "required": [c.name for c in schema.columns],
        "additionalProperties": False,
    }
    bodies = _bodies(schema, row, swagger)
    number: dict[str, Any] = {"type": "number", "format": "double"}
    one = {"type": "array", "items": number} if schema.listed else number
    fields: dict[str, Any] = {"predictions": {"type": "array", "items": one, "minItems": 1}}
    if schema.labels is not None:
        label = {"type": "string", "enum": list(schema.labels)}
        fields["labels"] = {
            "type": "array", "items": label, "minItems": 1,
            "description": "The class of each row, in the order of the predictions.",
        }  # fmt: skip
    # Open for more fields: a client that is made from this page today also reads tomorrow's answers.
    answer = {"type": "object", "properties": fields, "required": list(fields)}
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


def _bodies(schema: ModelSchema, row: dict[str, Any], swagger: bool) -> dict[str, Any]:
    """What each path takes. Swagger 2.0 has no alternatives: there, each field has its first form only."""
    names = [c.name for c in schema.columns]
    records = {"type": "array", "items": row, "minItems": 1}
    # A list has one type for all cells: which belongs to which column is in the texts of the refusals.
    cells = {"type": "array", "items": {}, "minItems": len(names), "maxItems": len(names)}
    named = {"type": "array", "items": {"type": "string", "enum": names}, "uniqueItems": True}
    split = {
        "type": "object",
        "properties": {
            "columns": {**named, "minItems": len(names), "maxItems": len(names)},
            "index": {"type": "array", "items": {}},
            "data": {"type": "array", "items": cells, "minItems": 1},
        },
        "required": ["columns", "data"],
        "additionalProperties": False,
    }
    lists = {
        "type": "object",
        "properties": {
            c.name: {"type": "array", "items": _column(c, swagger), "minItems": 1} for c in schema.columns
        },
        "required": names,
        "additionalProperties": False,
    }
    forms = {
        "/score": {"input_data": [split, records], "data": [records]},
        "/invocations": {
            "dataframe_split": [split],
            "dataframe_records": [records],
            "instances": [records],
            "inputs": [lists, records],
        },
    }
    return {
        path: {
            "type": "object",
            "description": "Exactly one of the fields.",
            "properties": {
                key: ones[0] if swagger or len(ones) == 1 else {"oneOf": ones} for key, ones in fields.items()
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        }
        for path, fields in forms.items()
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
    nullable = {"x-nullable" if swagger else "nullable": True}
    error = {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "field": {"type": "string", **nullable, "description": "Column, header or parameter."},
                    "row": {"type": "integer", **nullable, "description": "Counted from 0."},
                    "value": {"description": "What was sent, shortened."},
                    "allowed": {"type": "string", **nullable},
                    "message": {"type": "string"},
                },
                "required": ["field", "row", "value", "allowed", "message"],
            },
            "request_id": {"type": "string"},
        },
        "required": ["error", "request_id"],
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
        return f"Each prediction is the probability of class {positive!r}.{_decided(schema, positive)}"
    if schema.task == "multiclass":
        return f"Each prediction is a list of probabilities of the classes {', '.join(schema.classes)}."
    if schema.task == "multilabel":
        return f"Each prediction is a list of probabilities, one for each label: {', '.join(schema.classes)}."
    if schema.outputs:
        return f"Each prediction is a list of numbers: {', '.join(schema.outputs)}."
    if schema.task == "ranking":
        return "Each prediction is a number; of rows that compete, the one with the highest comes first."
    return "Each prediction is a number."


def _decided(schema: ModelSchema, positive: str) -> str:
    if schema.labels is None:
        return ""
    rule = f", as {schema.decision} chose on training rows" if schema.decision else ""
    return f" From {schema.threshold!r} on a row counts as {positive!r}{rule}."
