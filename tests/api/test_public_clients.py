"""What public clients of both vendors check or rely on, sent as they send it. docs/clients.md tells which were run."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import mimetypes
import urllib.error
import urllib.request
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from stemwright.api.app import callback_bodies
from stemwright.service.ids import new_id, parse_id
from tests.api.conftest import OpenServer, Server
from tests.api.native import receiver

Json = dict[str, Any]

CRUN_JOBS = "/api/v1/client/job"
KIE = "/api/v1/vocal-removal"


def standard_library(server: Server, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
    """A request of crun's own command line: urllib, a content type without content, the key in capitals."""
    key = server.service.keys.create(new_id(), account="alice", form="crun").key
    headers = {"Accept": "application/json", "Content-Type": "application/json", "X-API-KEY": key}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data=content, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=240) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


class TestCrunsCommandLine:
    def test_a_file_is_put_where_the_server_says(self, shared: Server) -> None:
        kind = mimetypes.guess_type("song.mp3")[0]
        _, reply = standard_library(shared, "GET", f"/api/v1/client/files/upload-url?content_type={kind}&ext=.mp3")
        parts = urlsplit(reply["data"]["presigned_url"])
        assert parts.scheme in ("http", "https") and parts.hostname
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=240)
        connection.putrequest("PUT", parts.path + (f"?{parts.query}" if parts.query else ""))
        connection.putheader("Content-Type", str(kind))
        connection.putheader("Content-Length", str(len(shared.mp3)))
        connection.endheaders()
        connection.send(shared.mp3)
        assert 200 <= connection.getresponse().status < 300
        connection.close()

        order = {"model": "suno/vocal-separatio", "input": {"audio_url": reply["data"]["file_url"]}}
        status, estimate = standard_library(shared, "POST", f"{CRUN_JOBS}/EstimateTask", order)
        assert (status, estimate["code"], estimate["data"]["affordable"]) == (200, 200, True)
        _, created = standard_library(shared, "POST", f"{CRUN_JOBS}/CreateTask", order)
        task_id = created["data"]["task_id"]
        query = f"{CRUN_JOBS}/TaskInfo?task_id={task_id}"
        assert standard_library(shared, "GET", query)[1]["data"]["status"] == "pending"

        shared.succeed(str(parse_id(task_id)))
        task = standard_library(shared, "GET", query)[1]["data"]
        assert (task["status"], task["param"]["model"]) == ("success", order["model"])
        # It saves what media_urls names, without a key, each under the end of the URL's path.
        assert task["result"]["media_urls"] == list(task["result"]["media_info"].values())
        for url in task["result"]["media_urls"]:
            assert PurePosixPath(urlsplit(url).path).suffix == ".mp3"
            with urllib.request.urlopen(url, timeout=240) as file:
                assert file.read() == shared.mp3

    def test_errors_carry_their_reason_and_their_status(self, shared: Server) -> None:
        status, unknown = standard_library(shared, "GET", f"{CRUN_JOBS}/TaskInfo?task_id={new_id()}")
        assert (status, unknown["code"], unknown["data"]) == (404, 404, None)
        order = {"model": "suno/vocal-separatio", "input": {"task_id": new_id(), "suno_id": new_id()}}
        status, refused = standard_library(shared, "POST", f"{CRUN_JOBS}/CreateTask", order)
        assert (status, refused["code"]) == (422, 422)
        assert unknown["message"] and refused["message"]

    def test_the_catalog_names_what_it_routes_to(self, shared: Server) -> None:
        query = f"{CRUN_JOBS}/Models?modality=audio&operation=vocal-separation"
        (entry,) = standard_library(shared, "GET", query)[1]["data"]["models"]
        described = standard_library(shared, "GET", f"{CRUN_JOBS}/Models/{entry['model']}")[1]["data"]
        assert described["model"] == "suno/vocal-separatio"

    def test_a_strict_reader_of_task_info(self, shared: Server) -> None:
        track = shared.add_track()
        order = {"model": "suno/vocal-separatio", "input": {"task_id": track.task_id, "suno_id": track.id}}
        _, created = standard_library(shared, "POST", f"{CRUN_JOBS}/CreateTask", order)
        task = standard_library(shared, "GET", f"{CRUN_JOBS}/TaskInfo?task_id={created['data']['task_id']}")[1]["data"]
        assert task["source"] == "api" and type(task["create_at"]) is int
        assert task["provider"] and task["model_version"] and isinstance(task["param"], dict)


class TestClientsOfKie:
    def order(self, server: Server, **body: object) -> Json:
        track = server.add_track()
        whole = {"taskId": track.task_id, "audioId": track.id, "callBackUrl": "https://example.com/cb", **body}
        reply = server.client.post(f"{KIE}/generate", json=whole)
        assert reply.status_code == 200
        return dict(reply.json())

    def record(self, server: Server, task_id: str) -> Any:
        reply = server.client.get(f"{KIE}/record-info", params={"taskId": task_id}).json()
        assert (reply["code"], reply["msg"]) == (200, "success")
        return reply["data"]

    def test_an_upload_has_all_keys_that_a_typed_record_wants(self, shared: Server) -> None:
        content = base64.b64encode(shared.mp3).decode()
        body = {"base64Data": content, "uploadPath": "audio", "fileName": "s.mp3"}
        reply = shared.client.post("/api/file-base64-upload", json=body).json()
        assert reply["success"] is reply["data"]["success"] is True and int(reply["code"]) == 200
        wanted = {"fileName", "filePath", "downloadUrl", "fileSize", "mimeType", "uploadedAt"}
        assert wanted <= reply["data"].keys() and reply["data"]["fileSize"] == len(shared.mp3)
        link = shared.client.post("/api/v1/common/download-url", json={"url": reply["data"]["downloadUrl"]}).json()
        assert httpx.get(link["data"], trust_env=False, follow_redirects=True).content == shared.mp3

    @pytest.mark.parametrize("path", ["/api/v1/chat/credit", "/api/v1/generate/credit"])
    def test_credits_are_a_bare_number(self, shared: Server, path: str) -> None:
        assert type(shared.client.get(path).json()["data"]) in (int, float)

    def test_errors_come_with_http_200_a_code_and_a_reason(self, shared: Server) -> None:
        bogus = self.order(shared, taskId="test-bogus-task-id", audioId="test-bogus-audio-id")
        assert bogus == {"code": 422, "msg": "Record does not exist", "data": None}
        wrong = httpx.get(
            f"{shared.url}/api/v1/chat/credit", headers={"Authorization": "Bearer wrong"}, trust_env=False
        )
        assert (wrong.status_code, wrong.json()["code"]) == (200, 401)
        assert self.record(shared, new_id()) is None

    def test_keys_that_only_another_type_reads_are_ignored(self, shared: Server) -> None:
        # A client that follows the published schema to the letter sends stemName with every type.
        assert self.order(shared, type="separate_vocal", stemName="Bass", replyUrl="", audioUrl="")["code"] == 200

    def test_polling_by_words(self, shared: Server) -> None:
        task_id = self.order(shared, type="split_stem")["data"]["taskId"]
        waiting = self.record(shared, task_id)
        assert waiting["status"] == waiting["successFlag"] == "PENDING" and not waiting["response"]
        shared.succeed(task_id)
        done = self.record(shared, task_id)
        assert done["status"] == done["successFlag"] == "SUCCESS"
        # One client finds stems by the ends of the strings in the response, and one asks for each link anew.
        urls = {value for key, value in done["response"].items() if key.endswith("Url") and value}
        stems = [stem["audio_url"] for stem in done["response"]["originData"]]
        assert set(stems) <= urls and all(url.endswith(".mp3") for url in urls)
        for url in stems[:2]:
            link = shared.client.post("/api/v1/common/download-url", json={"url": url}).json()["data"]
            assert httpx.get(link, trust_env=False, follow_redirects=True).content == shared.mp3

    def test_a_failure_has_fail_in_its_flag_and_says_why(self, shared: Server) -> None:
        task_id = self.order(shared)["data"]["taskId"]
        shared.fail(task_id, 500, "The song cannot be decoded.")
        record = self.record(shared, task_id)
        assert "FAIL" in record["successFlag"] and record["errorMessage"] and record["errorCode"] == 500

    def test_the_right_signature_for_the_id_that_each_receiver_finds_first(self, open_server: OpenServer) -> None:
        server = open_server(webhook_key="hook-key")
        with receiver() as (hook, received):
            track = server.add_track()
            kie = {"taskId": track.task_id, "audioId": track.id, "callBackUrl": hook}
            song = {"task_id": track.task_id, "suno_id": track.id}
            crun = {"model": "suno/vocal-separatio", "callback_url": hook, "input": song}
            server.succeed(server.client.post(f"{KIE}/generate", json=kie).json()["data"]["taskId"])
            created = server.client.post(f"{CRUN_JOBS}/CreateTask", json=crun).json()["data"]["task_id"]
            server.succeed(str(parse_id(created)))
            assert server.deliver() == 2
        for headers, content in received:
            body = json.loads(content)
            data = body.get("data", {})
            found = [data.get("taskId"), data.get("task_id"), body.get("taskId"), body.get("task_id")]
            message = f"{next(filter(None, found))}.{headers['x-webhook-timestamp']}".encode()
            right = base64.b64encode(hmac.digest(b"hook-key", message, hashlib.sha256)).decode()
            assert headers["x-webhook-signature"] == right


class TestClientsOfAutumn2026:
    """Written from reading the clients that docs/clients.md lists under "Read in November 2026"."""

    def order(self, server: Server, path: str = f"{KIE}/generate", **body: object) -> str:
        track = server.add_track()
        whole = {"taskId": track.task_id, "audioId": track.id, "callBackUrl": "https://example.com/noop", **body}
        reply = server.client.post(path, json=whole).json()
        assert reply["code"] == 200, reply
        return str(reply["data"]["taskId"])

    def record(self, server: Server, task_id: str, path: str = f"{KIE}/record-info") -> Any:
        reply = server.client.get(path, params={"taskId": task_id}).json()
        assert reply["code"] == 200
        return reply["data"]

    @pytest.mark.parametrize(("kind", "count"), [("separate_vocal", 2), ("split_stem", 12)])
    def test_every_url_of_the_response_is_a_stem(self, shared: Server, kind: str, count: int) -> None:
        task = shared.succeed(self.order(shared, type=kind))
        response = self.record(shared, task.id)["response"]
        found = [value for key, value in response.items() if key.endswith("Url") and isinstance(value, str) and value]
        assert sorted(found) == sorted(stem["audio_url"] for stem in response["originData"]) and len(found) == count

    def test_the_word_of_the_vendors_playground_for_a_callback(self, shared: Server) -> None:
        task = shared.succeed(self.order(shared, callBackUrl="playground"))
        assert self.record(shared, task.id)["successFlag"] == "SUCCESS"

    def test_a_watchdog_that_finds_lost_results(self, shared: Server) -> None:
        task_id = self.order(shared)
        waiting = self.record(shared, task_id)
        assert not waiting["vocal_removal_info"] and waiting["status"].upper() == "PENDING"
        shared.succeed(task_id)
        done = self.record(shared, task_id)
        for key, url in (("instrumental_url", "instrumentalUrl"), ("vocal_url", "vocalUrl")):
            assert done["vocal_removal_info"][key] == done["response"][url]

    def test_an_editor_that_stores_the_twelve_stems_it_finds(self, shared: Server) -> None:
        task = shared.succeed(self.order(shared, type="split_stem"))
        data = self.record(shared, task.id)
        assert data["status"] == "SUCCESS"
        stored = {key: url for key, url in data["vocal_removal_info"].items() if url}
        assert len(stored) == 12 and all(key.endswith("_url") for key in stored)

    def test_a_typed_reader_of_the_callback_of_a_single_instrument(self, shared: Server) -> None:
        task = shared.succeed(self.order(shared, type="split_stem_advanced", stemName="Lead Vocal"))
        body = callback_bodies(shared.service)["kie"](task)
        assert body["msg"] == "vocal Removal generated successfully."
        (pair,) = body["data"]["vocal_removal_info"]["origin_data"]
        for part in (pair["extract"], pair["remove"]):
            assert part["stem_type_group_name"] == "Lead Vocal" and type(part["duration"]) is float
            assert part["id"] in part["audio_url"]

    @pytest.mark.parametrize("asked", [{"type": "separate_vocal"}, {"type": "split_stem"}, {"separationType": "both"}])
    def test_a_studio_on_the_markets_route(self, shared: Server, asked: Json) -> None:
        link = shared.service.links.track_url(shared.add_track())
        job = {"model": "ai-music-api/separate-vocals", "input": {"audio_url": link, **asked}}
        task = shared.succeed(shared.client.post("/api/v1/jobs/createTask", json=job).json()["data"]["taskId"])
        data = self.record(shared, task.id, "/api/v1/jobs/recordInfo")
        assert data["state"] == "success" and not data["failMsg"]
        result = json.loads(data["resultJson"])
        # A reader that looks for songs first finds none: only then does it look for stems.
        assert not any(isinstance(result.get(key), list) for key in ("resultUrls", "sunoData", "data"))
        items = [(item["id"], item["stem_type_group_name"], item["audio_url"]) for item in result["origin_data"]]
        assert len(items) == len(task.stems) == len({url for _, _, url in items})
        assert {url for _, _, url in items} == {
            url for key, url in result["vocal_removal_info"].items() if key.endswith("_url") and url
        }

    def test_an_application_with_the_names_of_the_old_route_in_input(self, shared: Server) -> None:
        track = shared.add_track()
        asked = {"taskId": track.task_id, "audioId": track.id, "separationType": "both"}
        job = {"model": "ai-music-api/separate-vocals", "input": asked}
        reply = shared.client.post("/api/v1/jobs/createTask", json=job).json()
        assert [stem.name for stem in shared.succeed(reply["data"]["taskId"]).stems] == ["vocals", "instrumental"]

    def test_a_provider_that_has_its_wav_by_the_market(self, shared: Server) -> None:
        track = shared.add_track()
        asked = {"task_id": track.task_id, "audio_id": track.id}
        job = {"model": "ai-music-api/convert-to-wav-format", "input": asked}
        task = shared.succeed(shared.client.post("/api/v1/jobs/createTask", json=job).json()["data"]["taskId"])
        data = self.record(shared, task.id, "/api/v1/jobs/recordInfo")
        (url,) = json.loads(data["resultJson"])["resultUrls"]
        assert httpx.get(url, trust_env=False, follow_redirects=True).content == shared.mp3
        assert data["creditsConsumed"] == 0.4

    def test_three_readers_of_a_wav(self, shared: Server) -> None:
        task_id = self.order(shared, "/api/v1/wav/generate")
        path = "/api/v1/wav/record-info"
        waiting = self.record(shared, task_id, path)
        assert waiting["successFlag"] == "PENDING" and not waiting.get("audioWavUrl")
        shared.succeed(task_id)
        data = self.record(shared, task_id, path)
        assert (data["successFlag"], data["status"]) == ("SUCCESS", "SUCCESS")
        assert data["response"]["audioWavUrl"] == data["audioWavUrl"]
        again = self.record(shared, task_id, path)
        assert again == data

    def test_a_base_url_with_its_slash_and_a_bare_key(self, shared: Server) -> None:
        url = f"{shared.url}/" + "/api/v1/chat/credit"
        reply = httpx.get(url, headers={"Authorization": shared.key}, trust_env=False)
        assert (reply.status_code, reply.json()["code"]) == (200, 200)
