"""Signatures of callbacks, by the contract's own vector and by the library that receivers use."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from stemwright.service.signatures import signed_headers, signed_task_id, standard_signature, vendor_signature

BODY = '{"data":{"task_id":"t"}}'


def test_the_contracts_vector_holds() -> None:
    assert vendor_signature("k", "t", 1780000000) == "j7hpp3tsz2CEbYCt0TEJnilCpEAQPClGCsLUcxPZ2lc="


@pytest.mark.parametrize("changed", [("x", "t", 1780000000), ("k", "x", 1780000000), ("k", "t", 1780000001)])
def test_key_task_and_time_all_count(changed: tuple[str, str, int]) -> None:
    assert vendor_signature(*changed) != vendor_signature("k", "t", 1780000000)


@pytest.mark.parametrize("key", ["any words, bücher too", "whsec_" + base64.b64encode(b"a secret of bytes").decode()])
def test_receivers_verify_the_body(key: str) -> None:
    headers = signed_headers(key, "t", "msg_t", int(time.time()), BODY)
    secret = key if key.startswith("whsec_") else "whsec_" + base64.b64encode(key.encode()).decode()
    assert Webhook(secret).verify(BODY, headers) == {"data": {"task_id": "t"}}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.replace('"t"', '"u"'), headers)
    assert headers["X-Webhook-Timestamp"] == headers["webhook-timestamp"]
    assert headers["X-Webhook-Signature"] == vendor_signature(key, "t", int(headers["X-Webhook-Timestamp"]))


def test_the_standards_own_vector_holds() -> None:
    signature = standard_signature(
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        "msg_loFOjxBNrRLzqYUf",
        1731705121,
        '{"event_type":"ping","data":{"success":true}}',
    )
    assert signature == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"data": {"task_id": "a", "taskId": "b"}}, "b"),
        ({"data": {"task_id": "a"}, "task_id": "c"}, "a"),
        ({"task_id": "c", "data": None}, "c"),
        ({"task_id": "c"}, "c"),
        ({"data": [], "task_id": 7}, "default"),
    ],
)
def test_the_signed_id_is_where_receivers_look_for_it(body: dict[str, object], found: str) -> None:
    assert signed_task_id(body, "default") == found
