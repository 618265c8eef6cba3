"""OpenAPI of kie's API: bodies, queries and responses."""

from __future__ import annotations

from typing import Any

from stemwright.api.kie.instruments import STEM_BY_INSTRUMENT
from stemwright.wire_names import WIRE_NAMES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
URL: Schema = {"type": "string", "format": "uri"}
MILLISECONDS: Schema = {"type": "integer", "description": "Milliseconds since 1970."}
CREDITS: Schema = {"type": "number", "description": "1000000 if the account is not metered."}

ERRORS_NOTE = (
    "Errors have HTTP status 200 too; `code` has the error (400, 401, 402, 404, 405, 408, 409, 413, 415, 422, 429, 451, "
    "455, 500, 505), `msg` says why, and `data` is null. With STEMWRIGHT_MIRROR_STATUS the HTTP status equals the code."
)


def object_of(*required: str, **properties: Schema) -> Schema:
    """An object with these properties."""
    return {"type": "object", "properties": properties, "required": list(required)}


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def list_of(schema: Schema) -> Schema:
    """An array of these."""
    return {"type": "array", "items": schema}


GENERATE_BODY: Schema = object_of(
    taskId={"type": "string", "description": "Task of the song; with audioId, or else audioUrl."},
    audioId={
        "type": "string",
        "description": "The song: audio_id of an upload, or id of one of a task's songs or stems.",
    },
    audioUrl={**URL, "description": "URL of a file, in place of taskId and audioId."},
    type={"type": "string", "enum": ["separate_vocal", "split_stem", "split_stem_advanced"]},
    stemName={"type": "string", "enum": list(STEM_BY_INSTRUMENT), "description": "For split_stem_advanced."},
    callBackUrl={**URL, "description": "Gets a POST when the task has ended."},
)

WAV_BODY: Schema = object_of(
    "taskId",
    "audioId",
    taskId={"type": "string", "description": "Task of the song, or of the stem."},
    audioId={"type": "string", "description": "The song or the stem."},
    callBackUrl={**URL, "description": "Gets a POST when the task has ended."},
)

JOB_BODY: Schema = object_of(
    "model",
    "input",
    model={"type": "string", "enum": ["ai-music-api/separate-vocals", "ai-music-api/convert-to-wav-format"]},
    callBackUrl={**URL, "description": "Gets a POST when the task has ended."},
    input=object_of(
        task_id={"type": "string", "description": "Task of the song; with audio_id, or else audio_url."},
        audio_id={"type": "string", "description": "The song or the stem."},
        audio_url={**URL, "description": "URL of a file, in place of both ids; for a separation only."},
        type={"type": "string", "enum": ["separate_vocal", "split_stem", "split_stem_advanced"]},
        stem_name={"type": "string", "enum": list(STEM_BY_INSTRUMENT), "description": "For split_stem_advanced."},
    ),
)

TASK_ID = object_of("taskId", taskId=TEXT)

_STEM = object_of(
    "duration",
    "audio_url",
    "stem_type_group_name",
    "id",
    duration={"type": "number", "description": "Seconds."},
    audio_url=URL,
    stem_type_group_name=TEXT,
    id=TEXT,
)

_RESPONSE: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "null"},
        "originUrl": nullable(URL),
        "originData": list_of({"anyOf": [_STEM, object_of("extract", "remove", extract=_STEM, remove=_STEM)]}),
        "pianoUrl": {"type": "null"},
        **{name.camel: nullable(URL) for name in WIRE_NAMES.values() if name.camel is not None},
    },
}

RECORD = object_of(
    "taskId",
    "successFlag",
    taskId=TEXT,
    musicId=TEXT,
    callbackUrl=TEXT,
    musicIndex={"type": "integer"},
    completeTime=nullable(MILLISECONDS),
    response=nullable(_RESPONSE),
    successFlag={"type": "string", "enum": ["PENDING", "SUCCESS", "GENERATE_AUDIO_FAILED"]},
    createTime=MILLISECONDS,
    errorCode=nullable({"type": "integer"}),
    errorMessage=nullable(TEXT),
)

WAV_RECORD = object_of(
    "taskId",
    "successFlag",
    taskId=TEXT,
    musicId=TEXT,
    callbackUrl=TEXT,
    musicIndex={"type": "integer"},
    completeTime=nullable(MILLISECONDS),
    response=nullable(object_of("audioWavUrl", audioWavUrl=URL)),
    successFlag={"type": "string", "enum": ["PENDING", "SUCCESS", "GENERATE_WAV_FAILED"]},
    createTime=MILLISECONDS,
    errorCode=nullable({"type": "integer"}),
    errorMessage=nullable(TEXT),
)

JOB_RECORD = object_of(
    "taskId",
    "state",
    taskId=TEXT,
    model=TEXT,
    state={"type": "string", "enum": ["waiting", "generating", "success", "fail"]},
    param={"type": "string", "description": "The parameters of the request as JSON."},
    resultJson={"type": "string", "description": "The result as JSON; empty until the task has succeeded."},
    failCode=nullable(TEXT),
    failMsg=nullable(TEXT),
    costTime=nullable({"type": "integer", "description": "Processing time in milliseconds."}),
    completeTime=nullable(MILLISECONDS),
    createTime=MILLISECONDS,
    updateTime=MILLISECONDS,
    creditsConsumed={"type": "number"},
)

SONGS = object_of("taskId", "response", "status", taskId=TEXT, response={"type": "object"}, status=TEXT)

DOWNLOAD_BODY = object_of("url", url=URL)

_UPLOAD_FIELDS: dict[str, Schema] = {
    "uploadPath": {"type": "string", "minLength": 1, "example": "audio"},
    "fileName": {"type": "string", "minLength": 1, "description": "An existing file with this name is replaced."},
}


SECURITY: list[dict[str, list[str]]] = [{"HTTPBearer": []}, {"APIKeyHeader": []}]
"""The two places for the key, by the names that our own API declares."""


def body(schema: Schema, media_type: str = "application/json") -> Schema:
    """A request body."""
    return {"required": True, "content": {media_type: {"schema": schema}}}


BASE64_UPLOAD = body(object_of("base64Data", "uploadPath", base64Data=TEXT, **_UPLOAD_FIELDS))
URL_UPLOAD = body(object_of("fileUrl", "uploadPath", fileUrl=URL, **_UPLOAD_FIELDS))
STREAM_UPLOAD = body(
    object_of("file", "uploadPath", file={"type": "string", "format": "binary"}, **_UPLOAD_FIELDS),
    "multipart/form-data",
)

_UPLOADED = object_of(
    "success",
    "fileName",
    "filePath",
    "downloadUrl",
    "fileSize",
    "mimeType",
    "uploadedAt",
    success={"type": "boolean"},
    fileName=TEXT,
    filePath=TEXT,
    downloadUrl=URL,
    fileSize={"type": "integer"},
    mimeType=TEXT,
    uploadedAt={"type": "string", "format": "date-time"},
)


def with_body(content: Schema) -> Schema:
    """The OpenAPI additions of an endpoint with a body."""
    return {"requestBody": content, "security": SECURITY}


def with_query(*names: str) -> Schema:
    """The OpenAPI additions of an endpoint with required query parameters."""
    parameters = [{"name": name, "in": "query", "required": True, "schema": TEXT} for name in names]
    return {"parameters": parameters, "security": SECURITY}


def responses(data: Schema, mirrors: bool) -> dict[int | str, dict[str, Any]]:
    """The responses of an endpoint with this data on success."""
    return _responses(object_of("code", "msg", code={"type": "integer"}, msg=TEXT, data=nullable(data)), mirrors)


def upload_responses(mirrors: bool) -> dict[int | str, dict[str, Any]]:
    """The responses of an upload."""
    return _responses(
        object_of(
            "success",
            "code",
            "msg",
            success={"type": "boolean"},
            code={"type": "integer"},
            msg=TEXT,
            data=nullable(_UPLOADED),
        ),
        mirrors,
    )


def _responses(envelope: Schema, mirrors: bool) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": envelope}}
    good = {"description": f"The reply. {ERRORS_NOTE}", "content": content}
    return {200: good, "default": {"description": "An error.", "content": content}} if mirrors else {200: good}
