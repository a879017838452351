"""As much of S3 as backups need, strict about checksums and encryption, and misbehaving as told."""

import base64
import hashlib
import os
import queue
import signal
import threading
from urllib.parse import parse_qs, unquote, urlsplit

from .fake_http import FakeServer, reply, reset
from .secrets_init import REGION

KEY_ID, SECRET_KEY = "AKIAOURTESTS", "0nlyForTests/0nlyForTests/0nlyForTests00"
BUCKET = "clinic-backups"


class Refusal(Exception):
    def __init__(self, status, code, message="No."):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class FakeS3(FakeServer):
    """`plans` maps an operation (put, begin, part, complete, abort, head, get, list, delete) to the steps for its next calls."""

    def __init__(self, **plans):
        self.plans = {operation: list(steps) for operation, steps in plans.items()}
        self.objects = {}
        self.uploads = {}
        # What S3 says of each object's checksum, and which keys of KMS were asked for.
        self.checksums = {}
        self.kms_keys = []
        self.calls = []
        # The process that a step kills.
        self.victims = queue.Queue()
        self._lock = threading.Lock()
        super().__init__()

    def settings(self):
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def _operation(self, request):
        url = urlsplit(request.path)
        query = parse_qs(url.query, keep_blank_values=True)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        names = {
            ("PUT", True): "part",
            ("PUT", False): "put",
            ("POST", True): "complete",
            ("POST", False): "begin",
            ("DELETE", True): "abort",
            ("DELETE", False): "delete",
            ("HEAD", False): "head",
            ("GET", False): "get" if key else "list",
        }
        return names[request.command, "uploadId" in query], bucket, key, query

    def read_body(self, request):
        operation, *_ = self._operation(request)
        steps = self.plans.get(operation)
        length = int(request.headers.get("Content-Length", 0))
        if steps and steps[0] is cut_in_the_middle:
            steps.pop(0)
            self.calls.append(operation)
            request.rfile.read(length // 2)
            reset(request)
            return None
        if steps and isinstance(steps[0], Trickle):
            return b"".join(request.rfile.read(size) for size in steps[0].pieces(length, self))
        return request.rfile.read(length)

    def answer(self, request, body):
        operation, bucket, key, query = self._operation(request)
        self.calls.append(operation)
        try:
            if bucket != BUCKET:
                raise Refusal(404, "NoSuchBucket", "The specified bucket does not exist")
            steps = self.plans.get(operation)
            step = steps.pop(0) if steps else None
            change = step(request, self) if step else None
            if change is DONE:
                return
            with self._lock:
                status, text, headers = getattr(self, "_" + operation)(request, key, query, body)
            if callable(change):
                change()
                return
            headers = {name: value for name, value in (headers | (change or {})).items() if value is not None}
            if request.command == "HEAD":
                request.send_response(status)
                for name, value in headers.items():
                    request.send_header(name.replace("_", "-"), value)
                request.end_headers()
            else:
                reply(request, status, text, **{"Content_Type": "application/xml", **headers})
        except Refusal as refusal:
            words = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>"
            reply(request, refusal.status, "" if request.command == "HEAD" else words, Content_Type="application/xml")

    def _encryption(self, request):
        wanted = request.headers.get("x-amz-server-side-encryption")
        if wanted not in ("AES256", "aws:kms"):
            raise Refusal(403, "AccessDenied", "The bucket policy refuses unencrypted uploads")
        self.kms_keys.append(request.headers.get("x-amz-server-side-encryption-aws-kms-key-id"))
        return {"x_amz_server_side_encryption": wanted}

    @staticmethod
    def _checked(request, body):
        sent = request.headers.get("x-amz-checksum-sha256")
        if sent != base64.b64encode(hashlib.sha256(body).digest()).decode():
            raise Refusal(400, "BadDigest", "The SHA256 you specified did not match")
        return {"x_amz_checksum_sha256": sent}

    def _only_if_absent(self, request, key):
        if request.headers.get("If-None-Match") == "*" and key in self.objects:
            raise Refusal(412, "PreconditionFailed")

    def _put(self, request, key, query, body):
        self._only_if_absent(request, key)
        headers = self._encryption(request) | self._checked(request, body)
        self.objects[key] = (body, headers["x_amz_server_side_encryption"])
        self.checksums[key] = headers["x_amz_checksum_sha256"]
        return 200, "", headers | {"ETag": '"e"'}

    def _begin(self, request, key, query, body):
        upload = f"upload-{len(self.uploads)}"
        headers = self._encryption(request)
        self.uploads[upload] = {"key": key, "parts": {}, "encryption": headers["x_amz_server_side_encryption"]}
        text = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        return 200, text, headers

    def _upload(self, query):
        upload = self.uploads.get(query["uploadId"][0])
        if upload is None:
            raise Refusal(404, "NoSuchUpload")
        return upload

    def _part(self, request, key, query, body):
        upload = self._upload(query)
        headers = self._checked(request, body)
        upload["parts"][int(query["partNumber"][0])] = body
        return 200, "", headers | {"ETag": f'"{query["partNumber"][0]}"'}

    def _complete(self, request, key, query, body):
        upload = self._upload(query)
        parts = upload["parts"]
        assert sorted(parts) == list(range(1, len(parts) + 1))
        if any(len(parts[number]) < 5 << 20 for number in range(1, len(parts))):
            raise Refusal(400, "EntityTooSmall")
        self._only_if_absent(request, key)
        self.objects[key] = (b"".join(parts[number] for number in sorted(parts)), upload["encryption"])
        digests = b"".join(hashlib.sha256(parts[number]).digest() for number in sorted(parts))
        self.checksums[key] = f"{base64.b64encode(hashlib.sha256(digests).digest()).decode()}-{len(parts)}"
        self.uploads.pop(query["uploadId"][0])
        return 200, "<CompleteMultipartUploadResult/>", {"x_amz_server_side_encryption": upload["encryption"]}

    def _abort(self, request, key, query, body):
        self.uploads.pop(query["uploadId"][0], None)
        return 204, "", {}

    def _object(self, key):
        if key not in self.objects:
            raise Refusal(404, "NoSuchKey", "The specified key does not exist.")
        return self.objects[key]

    def _head(self, request, key, query, body):
        content, encryption = self._object(key)
        headers = {"Content_Length": str(len(content)), "x_amz_server_side_encryption": encryption}
        if request.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers["x_amz_checksum_sha256"] = self.checksums.get(key)
        return 200, "", {name: value for name, value in headers.items() if value is not None}

    def _get(self, request, key, query, body):
        content, encryption = self._object(key)
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        return 206 if start else 200, content[start:], {"Content_Type": "application/octet-stream"}

    def _list(self, request, key, query, body):
        prefix = query.get("prefix", [""])[0]
        found = sorted(name for name in self.objects if name.startswith(prefix))
        # Two a page, so that there is more than one page.
        start = int(query.get("continuation-token", ["0"])[0])
        page, more = found[start : start + 2], start + 2 < len(found)
        contents = "".join(
            f"<Contents><Key>{name}</Key><Size>{len(self.objects[name][0])}</Size></Contents>" for name in page
        )
        next_page = f"<NextContinuationToken>{start + 2}</NextContinuationToken>" if more else ""
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return 200, f"<ListBucketResult>{truncated}{contents}{next_page}</ListBucketResult>", {}

    def _delete(self, request, key, query, body):
        # As the runbook's role has it.
        raise Refusal(403, "AccessDenied")

    def kill_victim(self):
        os.kill(self.victims.get(timeout=60), signal.SIGKILL)


# ---- Steps of a plan: DONE where the request was answered, headers that the answer gets instead, or what is done in place
# ---- of an answer once S3 has done what it was asked for ------------------------------------------------------------------

DONE = object()


def well(*_):
    return None


def refuse(status, code):
    def step(*_):
        raise Refusal(status, code)

    return step


def cut_off(request, _):
    reset(request)
    return DONE


def cut_in_the_middle(request, _):
    """Half of the body is taken, and then the connection ends; see `read_body`."""


def lost(request, _):
    """S3 does it, and the answer never comes."""
    return lambda: reset(request)


def kill(request, server):
    """The program is killed, and its call has no effect."""
    server.kill_victim()
    request.close_connection = True
    return DONE


def kill_afterwards(request, server):
    """The program is killed once its call has had its effect."""

    def change():
        server.kill_victim()
        request.close_connection = True

    return change


def without(header):
    """The answer comes without a header."""
    return lambda *_: {header: None}


def saying(**headers):
    """The answer says something else."""
    return lambda *_: headers


def slow(seconds):
    def step(request, server):
        server.hold(seconds)

    return step


class Trickle:
    """A link so slow that a body takes so many seconds, upwards or downwards."""

    PIECES = 24

    def __init__(self, seconds):
        self._seconds = seconds

    def pieces(self, length, server):
        """The sizes, with a wait before each."""
        for number in range(self.PIECES):
            server.hold(self._seconds / self.PIECES)
            yield length * (number + 1) // self.PIECES - length * number // self.PIECES

    def __call__(self, request, server):
        if request.command != "GET":
            return None
        _, _, key, _ = server._operation(request)
        content, _ = server.objects[key]
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        start = 0
        for size in self.pieces(len(content), server):
            request.wfile.write(content[start : start + size])
            request.wfile.flush()
            start += size
        return DONE


def break_off_download(after):
    """A download that ends after so many bytes."""

    def step(request, server):
        _, _, key, _ = server._operation(request)
        content, _ = server.objects[key]
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        request.wfile.write(content[start : start + after])
        request.wfile.flush()
        reset(request)
        return DONE

    return step
