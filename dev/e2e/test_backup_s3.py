"""Backups in S3: moto for what is right, an endpoint of our own for what goes wrong."""

import json
import os
import signal

import pytest

from support import fake_s3 as s3
from support.backups import BackupWorker
from support.clock import hurried
from support.database_program import copy_database, open_database, seed
from support.fake_s3 import BUCKET, FakeS3
from support.moto_server import MotoServer
from support.waiting import wait_until

TARGET = f"s3://{BUCKET}/wardpost"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "wardpost.db"
    seed(path, 200)
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Its archive takes four parts of 8 MiB."""
    path = tmp_path_factory.mktemp("large") / "wardpost.db"
    seed(path, 10_000, random_bytes=2300)
    return path


@pytest.fixture(scope="module")
def moto():
    server = MotoServer()
    client = server.connect("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield server
    server.stop()


@pytest.fixture
def endpoint():
    started = []

    def start(**plans):
        started.append(FakeS3(**plans))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def worker_of(database, tmp_path, server, target=TARGET, **settings):
    return BackupWorker(copy_database(database, tmp_path / "wardpost.db"), target, **server.settings(), **settings)


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_backup_is_kept_encrypted_and_comes_back(size, request, moto, tmp_path):
    database = request.getfixturevalue(size)
    worker = worker_of(database, tmp_path, moto, target=f"{TARGET}-{size}")
    manifest = worker.now()
    client = moto.connect("s3")
    key = f"wardpost-{size}/{manifest['name']}"
    head = client.head_object(Bucket=BUCKET, Key=key)
    assert head["ServerSideEncryption"] == "AES256" and head["ContentLength"] == manifest["archive_bytes"]
    if size == "large":
        assert manifest["archive_bytes"] > 17 << 20, "too small to be uploaded in parts"
    kept = json.loads(client.get_object(Bucket=BUCKET, Key=key.replace(".sqlite.gz.age", ".json"))["Body"].read())
    assert kept["archive_sha256"] == manifest["archive_sha256"]
    assert client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    assert worker.list()["backups"][0]["bytes"] == manifest["archive_bytes"]
    worker.run("verify").expect(0, "all checks passed")
    done = worker.run("restore", "latest", "--to", tmp_path / "r.db", "--json").expect(0).json
    assert done["name"] == manifest["name"]
    assert worker.left_over() == []


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_kms_key_is_asked_for_by_setting(size, request, endpoint, tmp_path):
    server = endpoint()
    worker = worker_of(request.getfixturevalue(size), tmp_path, server, WARDPOST_BACKUP_KMS_KEY="alias/clinic")
    worker.now()
    assert {encryption for _, encryption in server.objects.values()} == {"aws:kms"}
    # The archive, in one call or begun, and the manifest.
    assert server.kms_keys == ["alias/clinic", "alias/clinic"]


def test_no_right_to_delete_is_needed(small, endpoint, tmp_path):
    server = endpoint()
    worker = worker_of(small, tmp_path, server)
    worker.now()
    worker.run("verify").expect(0)
    assert "delete" not in server.calls


def test_a_long_list_is_read_to_its_end(small, endpoint, tmp_path):
    server = endpoint()
    worker = worker_of(small, tmp_path, server)
    name = worker.now()["name"]
    for day in range(10, 17):
        for end in (".sqlite.gz.age", ".json"):
            server.objects[f"wardpost/wardpost-202511{day}T020000Z{end}"] = (b"x", "AES256")
    # An archive without a manifest, and what is not ours, are no backups.
    server.objects["wardpost/wardpost-20251120T020000Z.sqlite.gz.age"] = (b"x", "AES256")
    server.objects["wardpost/notes.txt"] = (b"x", "AES256")
    # Nor is one whose manifest was taken back.
    server.objects["wardpost/wardpost-20251121T020000Z.sqlite.gz.age"] = (b"x", "AES256")
    server.objects["wardpost/wardpost-20251121T020000Z.json"] = (b"", "AES256")
    listed = [backup["name"] for backup in worker.list()["backups"]]
    assert len(listed) == 8 and listed[0] == name and listed == sorted(listed, reverse=True)
    worker.run("verify", "wardpost-20251121T020000Z.sqlite.gz.age").expect(1, "has no manifest")


SHORT = [s3.refuse(503, "SlowDown"), s3.refuse(500, "InternalError"), s3.cut_off]
PASSING = {
    "a storm of 503": {"begin": SHORT, "part": SHORT, "complete": SHORT, "head": [s3.cut_off], "put": SHORT},
    "cut in the middle of each part": {"part": [step for _ in range(4) for step in (s3.cut_in_the_middle, s3.well)]},
    "cut in the middle of the manifest": {"put": [s3.cut_in_the_middle]},
    "a slow link": {"part": [s3.Trickle(11)], "get": [s3.well, s3.Trickle(6)]},
    "answers that are lost": {"complete": [s3.lost], "put": [s3.lost]},
}
# How often four parts are sent.
PARTS = {"a storm of 503": 7, "cut in the middle of each part": 8}
# The pauses between attempts are seconds long; a slow link is slow by a clock of its own.
HURRIED = {failure: hurried(20) for failure in PASSING if failure != "a slow link"}


@pytest.mark.parametrize("failure", PASSING)
def test_what_passes_is_waited_for(failure, large, endpoint, tmp_path):
    server = endpoint(**PASSING[failure])
    worker = worker_of(large, tmp_path, server)
    manifest = worker.now(**HURRIED.get(failure, {}))
    assert server.calls.count("part") == PARTS.get(failure, 4)
    assert len(server.objects[f"wardpost/{manifest['name']}"][0]) == manifest["archive_bytes"]
    assert server.uploads == {}
    worker.run("verify").expect(0)
    assert not any(server.plans.values()), "the failure never came"


def test_a_lost_answer_to_a_small_archive_is_no_failure(small, endpoint, tmp_path):
    server = endpoint(put=[s3.lost, s3.well, s3.lost])
    worker = worker_of(small, tmp_path, server)
    worker.now()
    assert server.calls.count("put") == 4
    worker.run("verify").expect(0)


ENCRYPTION = "x_amz_server_side_encryption"
FAILING = {
    "a reply without encryption": ("small", {"put": [s3.without(ENCRYPTION)]}, 1, "does not say that it encrypted"),
    "another encryption than was asked for": ("small", {"put": [s3.saying(**{ENCRYPTION: "aws:kms"})]}, 1, "says aws:kms"),
    "no encryption in parts": ("large", {"begin": [s3.without(ENCRYPTION)]}, 1, "does not say that it encrypted"),
    "no encryption afterwards": ("large", {"head": [s3.without(ENCRYPTION)]}, 1, "does not say that it encrypted"),
    "no encryption of the manifest": ("small", {"put": [s3.well, s3.without(ENCRYPTION)]}, 1, "does not say that it encrypted"),
    "another checksum": ("small", {"put": [s3.saying(x_amz_checksum_sha256="AAAA")]}, 1, "another checksum"),
    "another checksum of a part": ("large", {"part": [s3.well, s3.saying(x_amz_checksum_sha256="AAAA")]}, 1, "another checksum"),
    "a checksum that S3 finds wrong": ("large", {"part": [s3.refuse(400, "BadDigest")]}, 1, "not what was sent"),
    "another size": ("small", {"head": [s3.saying(Content_Length="7")]}, 1, "says that it has 7 bytes"),
    "no permission": ("small", {"put": [s3.refuse(403, "AccessDenied")]}, 1, "s3:PutObject"),
    "no permission in the middle": ("large", {"part": [s3.well, s3.refuse(403, "AccessDenied")]}, 1, "s3:PutObject"),
    "no permission to finish": ("large", {"complete": [s3.refuse(403, "AccessDenied")]}, 1, "s3:PutObject"),
    "a storm that does not pass": ("small", {"put": [s3.refuse(503, "SlowDown")] * 7}, 69, "S3 cannot be reached"),
    "resets without an end": ("large", {"part": [s3.well, *[s3.cut_off] * 7]}, 69, "S3 cannot be reached"),
}


@pytest.mark.parametrize("failure", FAILING)
def test_what_does_not_pass_keeps_nothing_and_is_told(failure, request, endpoint, tmp_path):
    size, plans, code, words = FAILING[failure]
    server = endpoint(**plans)
    worker = worker_of(request.getfixturevalue(size), tmp_path, server)
    # Its pauses between attempts are seconds long.
    worker.run("now", **(hurried(20) if code == 69 else {})).expect(code, words)
    assert not any(server.plans.values()), "the failure never came"
    assert worker.list()["backups"] == []
    assert server.uploads == {}, "parts were left behind"
    assert "delete" not in server.calls
    assert worker.left_over() == []
    ((action, details),) = worker.events()
    assert action == "BACKUP_FAILED" and details["during"] == "backup" and words in details["reason"]
    # And the next one is a backup.
    worker.another_second(details["name"])
    worker.now()
    worker.run("verify").expect(0)


def test_no_bucket_and_no_answer_are_told_apart(small, endpoint, tmp_path):
    server = endpoint()
    worker = worker_of(small, tmp_path, server, target="s3://no-such-bucket/x")
    worker.run("now").expect(1, "no bucket no-such-bucket")
    worker.run("list").expect(1, "no bucket no-such-bucket")
    worker.run("list", AWS_REGION=None, AWS_EC2_METADATA_DISABLED="true").expect(69, "AWS_REGION")


def test_a_download_that_breaks_off_is_taken_up_where_it_broke(large, endpoint, tmp_path):
    server = endpoint()
    worker = worker_of(large, tmp_path, server)
    worker.now()
    # The manifest is read first.
    server.plans["get"] = [s3.well, s3.break_off_download(5_000_000), s3.break_off_download(1), s3.refuse(503, "SlowDown")]
    worker.run("verify").expect(0, "all checks passed")
    assert not server.plans["get"]


def test_a_download_that_never_recovers_is_given_up(small, endpoint, tmp_path):
    server = endpoint()
    worker = worker_of(small, tmp_path, server)
    worker.now()
    server.plans["get"] = [s3.well, *[s3.break_off_download(0)] * 7]
    worker.run("verify", "--json", **hurried(20)).expect(69, "breaks off again and again")
    assert not server.plans["get"]
    assert worker.left_over() == []
    assert [action for action, _ in worker.events()] == ["BACKUP_CREATED", "BACKUP_FAILED"]


@pytest.mark.parametrize(("size", "call"), [("small", "put"), ("large", "complete")])
def test_an_archive_that_is_there_already_is_never_replaced(size, call, request, endpoint, tmp_path):
    """Two machines that write to the same place at the same second."""

    def taken(request, fake):
        _, _, key, _ = fake._operation(request)
        fake.objects[key] = (b"somebody else's", "AES256")

    server = endpoint(**{call: [taken]})
    worker = worker_of(request.getfixturevalue(size), tmp_path, server)
    worker.run("now").expect(1, "is there already")
    ((key, (content, _)),) = server.objects.items()
    assert key.endswith(".sqlite.gz.age") and content == b"somebody else's"
    assert server.uploads == {}, "parts were left behind"


def test_a_manifest_that_is_there_already_is_never_replaced(small, endpoint, tmp_path):
    """Two machines that write to the same place at the same second."""
    server = endpoint()

    def taken(request, fake):
        _, _, key, _ = fake._operation(request)
        if key.endswith(".json"):
            fake.objects[key] = (b"somebody else's", "AES256")

    server.plans["put"] = [s3.well, taken]
    worker = worker_of(small, tmp_path, server)
    worker.run("now").expect(1, "is there already")
    (manifest,) = [content for key, (content, _) in server.objects.items() if key.endswith(".json")]
    assert manifest == b"somebody else's"


def test_a_copy_that_is_not_sound_leaves_no_parts(large, endpoint, tmp_path):
    server = endpoint()
    worker = worker_of(large, tmp_path, server)
    connection = open_database(worker.database, guarded=True)
    connection.execute("UPDATE message_body SET body = 'changed by an intruder' WHERE message_id = 5")
    connection.close()
    worker.run("now").expect(1, "not sound", "message 5")
    assert server.uploads == {} and server.objects == {}


def test_asked_to_stop_in_the_middle_of_an_upload_it_leaves_no_parts(large, endpoint, tmp_path):
    server = endpoint(part=[s3.well, *[s3.slow(60)] * 3])
    worker = worker_of(large, tmp_path, server)
    service = worker.start("now")
    wait_until("the second part is on its way", lambda: server.calls.count("part") >= 2, seconds=60)
    assert service.stop() == 1
    assert "stopped before it was done" in service.log_text()
    assert server.uploads == {} and server.objects == {}
    assert worker.left_over() == []


NEVER = {"WARDPOST_BACKUP_SCHEDULE": "0 0 0 1 1 *", "WARDPOST_DRILL_SCHEDULE": "off"}


def asked_until_it_ends(service):
    """As somebody asks who does not wait."""

    def ask():
        if service.running():
            os.kill(service.pid, signal.SIGTERM)
        return not service.running()

    wait_until("it ends", ask)
    assert service.stop() == 0, service.log_text()


def test_a_service_that_is_asked_to_stop_finishes_a_backup_that_soon_ends(large, endpoint, tmp_path):
    server = endpoint(part=[s3.well, s3.slow(2)])
    worker = worker_of(large, tmp_path, server)
    service = worker.start(**NEVER)
    wait_until("the second part is on its way", lambda: server.calls.count("part") >= 2, seconds=60)
    assert service.stop() == 0
    assert len(worker.list()["backups"]) == 1 and server.uploads == {}
    assert [action for action, _ in worker.events()] == ["BACKUP_CREATED"]


def test_a_service_that_is_asked_again_breaks_a_backup_off_and_leaves_nothing(large, endpoint, tmp_path):
    server = endpoint(part=[s3.well, *[s3.slow(60)] * 3])
    worker = worker_of(large, tmp_path, server)
    service = worker.start(**NEVER)
    wait_until("the second part is on its way", lambda: server.calls.count("part") >= 2, seconds=60)
    asked_until_it_ends(service)
    assert "broken off" in service.log_text()
    assert server.uploads == {} and server.objects == {}
    assert worker.left_over() == []
    ((action, details),) = worker.events()
    assert action == "BACKUP_FAILED" and details["during"] == "backup" and "stopped before" in details["reason"]


def test_a_drill_and_a_restore_that_are_asked_to_stop_leave_nothing(small, endpoint, tmp_path):
    server = endpoint()
    worker = worker_of(small, tmp_path, server)
    worker.now()

    def started(*arguments, **settings):
        server.plans["get"], before = [s3.well, s3.slow(60)], server.calls.count("get")
        process = worker.start(*arguments, **settings)
        wait_until("the archive is on its way", lambda: server.calls.count("get") >= before + 2, seconds=30)
        return process

    asked_until_it_ends(started(**NEVER | {"WARDPOST_DRILL_SCHEDULE": "0 0 0 1 1 *"}))
    assert worker.left_over() == []
    (action, details) = worker.events()[-1]
    assert action == "BACKUP_FAILED" and details["during"] == "drill" and "stopped before" in details["reason"]
    assert started("verify").stop() == 69
    assert worker.left_over() == []
    assert started("restore", "latest", "--to", tmp_path / "r.db").stop() == 1
    assert not list(tmp_path.glob("r.db*"))


def killed(worker, server, **plans):
    """A backup during which a step of S3 kills the program."""
    server.plans |= plans
    process = worker.start("now")
    server.victims.put(process.pid)
    wait_until("it is killed", lambda: not process.running(), seconds=60)
    assert process.stop() == -signal.SIGKILL, process.log_text()
    assert not any(server.plans.values()), "it was killed somewhere else"
    worker.another_second()


STAGES = {
    "large": [{"part": [s3.well, s3.kill]}, {"complete": [s3.kill_afterwards]}],
    "small": [{"put": [s3.kill]}, {"put": [s3.kill_afterwards]}, {"head": [s3.kill]}, {"put": [s3.well, s3.kill]}],
}


@pytest.mark.parametrize("size", STAGES)
def test_killed_at_any_stage_nothing_half_made_counts(size, request, endpoint, tmp_path):
    server = endpoint()
    worker = worker_of(request.getfixturevalue(size), tmp_path, server)
    for plans in STAGES[size]:
        killed(worker, server, **plans)
        assert worker.list()["backups"] == []
    if size == "small":
        # The manifest is there, and so all that it promises.
        killed(worker, server, put=[s3.well, s3.kill_afterwards])
        assert len(worker.list()["backups"]) == 1
        worker.run("verify").expect(0)
    worker.now()
    worker.run("verify").expect(0)
    assert worker.left_over() == []
