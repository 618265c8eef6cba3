"""What OpenAPI says of crun's face: bodies, queries and replies."""

from __future__ import annotations

from typing import Any

from stemwright.api.crun_models import INPUT_SCHEMA, MODEL, SPELLINGS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
SECONDS: Schema = {"type": "integer", "description": "Seconds since 1970."}

REFUSALS = {
    400: "The body is not a JSON object.",
    401: "The key is missing, wrong or revoked.",
    402: "Not enough credits.",
    403: "The key may not do this.",
    404: "There is no such task.",
    408: "The vendor did not answer in time.",
    413: "The body is too large.",
    422: "A field is missing or wrong, or the ids lead to no song.",
    429: "Too many new tasks, or too many under way; Retry-After says when to try again.",
    451: "The vendor's song could not be had.",
    455: "Under maintenance: no new tasks.",
    500: "A fault of the server's.",
    505: "The model, mode or path is not offered here, and no vendor's key is set.",
}


def object_of(*required: str, **properties: Schema) -> Schema:
    """An object with these properties."""
    return {"type": "object", "properties": properties, "required": list(required)}


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


ORDER = object_of(
    "model",
    "input",
    model={"type": "string", "description": f"{' or '.join(SPELLINGS)}; others are the vendor's.", "example": MODEL},
    callback_url=nullable({"type": "string", "format": "uri", "description": "Gets the TaskInfo data at the end."}),
    input=INPUT_SCHEMA,
)

ESTIMATE = object_of("model", "input", model=TEXT, input={"type": "object"})

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
            media_info=nullable({"type": "object", "additionalProperties": {"type": "string", "format": "uri"}}),
            media_urls={"type": "array", "items": {"type": "string", "format": "uri"}},
            suno_data={"type": "array", "items": {"type": "object"}},
        )
    ),
    duration_s=nullable({"type": "integer", "description": "Seconds that the work took."}),
    complete_at=nullable(SECONDS),
    source={"type": "string", "const": "api"},
    credits=NUMBER,
)


def query(name: str, description: str, *, required: bool = False) -> Schema:
    """A parameter of the query."""
    return {"name": name, "in": "query", "required": required, "description": description, "schema": TEXT}


def body(schema: Schema) -> Schema:
    """A JSON body."""
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def replies(data: Schema, *codes: int) -> dict[int | str, dict[str, Any]]:
    """The good reply with its data, and the refusals."""
    refused: dict[int | str, dict[str, Any]] = {
        code: _reply(REFUSALS[code], code, {"type": "null"}) for code in (401, 403, *codes, 500)
    }
    return {200: _reply("All is well.", 200, data), **refused}


def _reply(description: str, code: int, data: Schema) -> dict[str, Any]:
    envelope = object_of("code", "message", "data", code={"type": "integer", "const": code}, message=TEXT, data=data)
    return {"description": description, "content": {"application/json": {"schema": envelope}}}
