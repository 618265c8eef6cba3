"""The manifests against the published schemas: Kubernetes, KEDA, the Compose specification; and what hardens them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deploy.test_names import DEPLOY, containers, documents

KUBERNETES = "1.31"
"""The oldest release that the manifests are for."""

OF_KUBERNETES = [
    document
    for document in documents("kubernetes/*.yaml")
    if not document["apiVersion"].startswith(("keda.sh/", "kustomize."))
]
WORKLOADS = [document for document in OF_KUBERNETES if containers(document)]
COMPOSE: dict[str, Any] = next(documents("compose.yaml"))


def name_of(document: dict[str, Any]) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


@pytest.mark.parametrize("document", OF_KUBERNETES, ids=name_of)
def test_an_object_fits_the_schema_of_kubernetes(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_misspelt_field_is_found() -> None:
    broken = json.loads(json.dumps(WORKLOADS[0]))
    containers(broken)[0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


@pytest.mark.parametrize("document", WORKLOADS, ids=name_of)
def test_a_pod_is_restricted(document: dict[str, Any]) -> None:
    """The rules of the Pod Security Standard "restricted", which the namespace enforces, and a root that is read-only."""
    pod = document["spec"]["template"]["spec"]
    assert (
        pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    )
    assert pod["automountServiceAccountToken"] is False
    for container in containers(document):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/data", "/cache", "/tmp"}
        assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}


def test_selectors_find_their_pods() -> None:
    labels = [document["spec"]["template"]["metadata"]["labels"] for document in WORKLOADS]
    for document in OF_KUBERNETES:
        spec = document.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {}
        wanted = selector.get("matchLabels", selector if document["kind"] == "Service" else {})
        if wanted:
            assert any(wanted.items() <= pod.items() for pod in labels), name_of(document)


def test_the_kustomization_names_every_file() -> None:
    folder = DEPLOY / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    there = {path.name for path in folder.glob("*.yaml")} - {
        "kustomization.yaml",
        "secret.example.yaml",
        "first-key.yaml",
    }
    assert set(listed) == there


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_builds_it(tmp_path: Path) -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY / "kubernetes")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    images = {container["image"] for document in built for container in containers(document)}
    assert images <= {"registry.example.org/stemwright:0.1.0-cpu", "registry.example.org/stemwright:0.1.0-cuda"}


def test_the_compose_file_fits_the_specification() -> None:
    schema = resources.files("check_jsonschema.builtin_schemas.vendor").joinpath("compose-spec.json").read_text()
    jsonschema.validate(COMPOSE, json.loads(schema))


def test_services_of_compose_are_hardened_and_complete() -> None:
    services: dict[str, dict[str, Any]] = COMPOSE["services"]
    assert {"postgres", "store", "api-1", "api-2", "proxy"} <= services.keys()
    for name, service in services.items():
        if name in ("postgres", "store"):
            continue  # they write to their volumes as users of their own
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        volumes = {volume.split(":")[0] for volume in service.get("volumes", ())}
        assert {volume for volume in volumes if not volume.startswith(".")} <= COMPOSE["volumes"].keys()
        assert all((DEPLOY / volume).exists() for volume in volumes if volume.startswith("."))
    variables = {
        line.split("=")[0] for line in (DEPLOY / "compose.env.example").read_text().splitlines() if "=" in line
    }
    named = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert named - {"PROXY_NETWORK"} == variables


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker is not installed")
def test_docker_reads_the_compose_file(tmp_path: Path) -> None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose")
    environment = tmp_path / "env"
    environment.write_text("POSTGRES_PASSWORD=a\nS3_ACCESS_KEY=b\nS3_SECRET_KEY=c\n")
    command = ["docker", "compose", "--env-file", str(environment), "-f", str(DEPLOY / "compose.yaml"), "config", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_reads_the_configuration_of_the_proxy(tmp_path: Path) -> None:
    text = (DEPLOY / "proxy" / "nginx.conf").read_text().replace("/tmp/", f"{tmp_path}/")
    path = tmp_path / "nginx.conf"
    path.write_text(text.replace("api-1:", "127.0.0.1:").replace("api-2:", "127.0.0.1:"))
    done = subprocess.run(["nginx", "-t", "-c", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
