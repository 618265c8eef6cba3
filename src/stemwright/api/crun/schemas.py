"""OpenAPI of crun's API: bodies, queries and responses."""

from __future__ import annotations

from typing import Any

from stemwright.api.crun.models import INPUT_SCHEMA, MODEL, MODEL_NAMES

Schema = dict[str, Any]
Replies = dict[int | str, dict[str, Any]]

TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1}
URL: Schema = {"type": "string", "format": "uri"}
NUMBER: Schema = {"type": "number"}
SECONDS: Schema = {"type": "integer", "description": "Seconds since 1970."}

ERROR_DESCRIPTIONS = {
    400: "The body is not a JSON object.",
    401: "The key is missing, wrong or revoked.",
    402: "Not enough credits.",
    403: "The key may not do this.",
    404: "Not found.",
    408: "The vendor did not answer in time.",
    410: "The link has expired.",
    411: "The request has no Content-Length.",
    413: "The body is too large.",
    422: "A field is missing or wrong, or there is no song with these ids.",
    429: "Too many new tasks, or too many running; Retry-After says when to try again.",
    451: "The song could not be fetched from the vendor.",
    455: "Under maintenance: no new tasks are accepted.",
    500: "An error in the server.",
    505: "The model, mode or path is not available here, and no vendor key is set.",
}


def object_of(*required: str, **properties: Schema) -> Schema:
    """An object with these properties."""
    return {"type": "object", "properties": properties, "required": list(required)}


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


ORDER = object_of(
    "model",
    "input",
    model={**NAME, "description": f"{' or '.join(MODEL_NAMES)}; others are forwarded to the vendor.", "example": MODEL},
    callback_url=nullable(
        {
            "type": "string",
            "format": "uri",
            "description": "Gets a POST of the TaskInfo data at the end.",
        }
    ),
    input=INPUT_SCHEMA,
)

ESTIMATE = object_of("model", "input", model=NAME, input={"type": "object"})

TASK = object_of(
    "task_id",
    "status",
    task_id={"type": "string", "format": "uuid"},
    provider=TEXT,
    model_version=TEXT,
    status={"type": "string", "enum": ["pending", "running", "success", "failed"]},
    param={"type": "object"},
    create_at=SECONDS,
    result=nullable(
        object_of(
            "code",
            "message",
            code={"type": "integer"},
            message=TEXT,
            media_info=nullable({"type": "object", "additionalProperties": URL}),
            media_urls={"type": "array", "items": URL},
            suno_data={"type": "array", "items": {"type": "object"}},
        )
    ),
    duration_s=nullable({"type": "integer", "description": "Processing time in seconds."}),
    complete_at=nullable(SECONDS),
    source={"type": "string", "const": "api"},
    credits=NUMBER,
)

CREATED = object_of("task_id", task_id={"type": "string", "format": "uuid"})
ESTIMATED = object_of(
    "estimated_credits",
    "balance",
    "affordable",
    estimated_credits=NUMBER,
    balance=NUMBER,
    affordable={"type": "boolean"},
)
ESTIMATED_CREDITS = object_of("credits", "estimated", credits=NUMBER, estimated={"type": "boolean"})
MODEL_ENTRY = object_of("model", model=TEXT)
MODELS = object_of("models", models={"type": "array", "items": MODEL_ENTRY})
BALANCE = object_of("balance", balance=NUMBER)
UPLOAD_LINKS = object_of("presigned_url", "file_url", presigned_url=URL, file_url=URL)


def query_parameter(name: str, description: str, *, required: bool = False, pattern: str | None = None) -> Schema:
    """A query parameter."""
    schema = NAME if required else TEXT
    if pattern is not None:
        schema = {**schema, "pattern": f"^({pattern})$"}
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def path_parameter(name: str, description: str, pattern: str = ".+") -> Schema:
    """A path parameter, which may contain slashes."""
    schema = {**NAME, "pattern": pattern}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def with_parameters(*parameters: Schema) -> Schema:
    """The parameters of an operation."""
    return {"parameters": list(parameters)}


def with_body(schema: Schema) -> Schema:
    """The JSON body of an operation."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def responses(data: Schema, *codes: int) -> Replies:
    """The response of success with its data, and error responses."""
    return {200: _response("Success.", 200, data)} | error_responses(401, 403, *codes)


def error_responses(*codes: int) -> Replies:
    """Error responses of these codes and of 500."""
    return {code: _response(ERROR_DESCRIPTIONS[code], code, {"type": "null"}) for code in (*codes, 500)}


def _response(description: str, code: int, data: Schema) -> dict[str, Any]:
    envelope = object_of("code", "message", "data", code={"type": "integer", "const": code}, message=TEXT, data=data)
    return {"description": description, "content": {"application/json": {"schema": envelope}}}
