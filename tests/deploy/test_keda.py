"""KEDA's objects: they fit KEDA's own models, and their queries count the real queue."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy
from cloudcoil.models.keda import v1alpha1

from tests.deploy.test_names import documents
from tests.service.conftest import OpenDomain, open_domain

__all__ = ["open_domain"]  # a fixture

KINDS: dict[str, Any] = {
    "ScaledObject": v1alpha1.ScaledObject,
    "TriggerAuthentication": v1alpha1.TriggerAuthentication,
}
OBJECTS = [document for document in documents("kubernetes/*.yaml") if document["apiVersion"].startswith("keda.sh/")]
SCALED = [document for document in OBJECTS if document["kind"] == "ScaledObject"]


def read_back(document: dict[str, Any]) -> Any:
    """The object as KEDA's model has it: unknown fields are gone."""
    return KINDS[document["kind"]].model_validate(document).model_dump(by_alias=True, exclude_unset=True, mode="json")


@pytest.mark.parametrize("document", OBJECTS, ids=lambda document: document["metadata"]["name"])
def test_an_object_fits_the_model_of_keda(document: dict[str, Any]) -> None:
    assert read_back(document) == document


def test_a_misspelt_field_is_found() -> None:
    broken = SCALED[0] | {"spec": SCALED[0]["spec"] | {"minReplicas": 1}}
    assert read_back(broken) != broken


@pytest.mark.parametrize("document", SCALED, ids=lambda document: document["metadata"]["name"])
def test_it_scales_a_deployment_that_is_there(document: dict[str, Any]) -> None:
    deployments = {each["metadata"]["name"] for each in documents("kubernetes/*.yaml") if each["kind"] == "Deployment"}
    assert document["spec"]["scaleTargetRef"]["name"] in deployments


@pytest.fixture
def database_url(postgresql_url: str) -> str:
    """The database of ``open_domain``."""
    return postgresql_url


def test_the_queries_count_what_waits_and_what_runs(open_domain: OpenDomain) -> None:
    domain = open_domain()
    alice = domain.caller()
    for plan in ("fast", "fast", "best", "good"):
        domain.submit(alice, plan=plan)

    def counted() -> dict[str, int]:
        with domain.database.read() as session:
            return {
                document["metadata"]["name"]: session.execute(
                    sqlalchemy.text(document["spec"]["triggers"][0]["metadata"]["query"])
                ).scalar_one()
                for document in SCALED
            }

    assert counted() == {"stemwright-worker-gpu": 2, "stemwright-worker-cpu": 2}
    lease = domain.hold()
    assert counted() == {"stemwright-worker-gpu": 2, "stemwright-worker-cpu": 2}, (
        "a running task still needs its worker"
    )
    domain.succeed(lease)
    assert sum(counted().values()) == 3
