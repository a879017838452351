"""An endpoint that takes everything and only counts: as much of CloudWatch Logs and S3 as the programs talk to."""

import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from support.fake_http import FakeServer, reply

PIECE = 1 << 20


class CountingEndpoint(FakeServer):
    """Counts the events of PutLogEvents, and the bytes of each S3 object; keeps neither."""

    def __init__(self):
        self.events = self.calls = 0
        self.objects = {}
        super().__init__()

    def settings(self):
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIABENCH",
            "AWS_SECRET_ACCESS_KEY": "bench-only",
        }

    def read_body(self, request):
        left = int(request.headers.get("Content-Length", 0))
        if "X-Amz-Target" in request.headers:
            return request.rfile.read(left)
        self._length = left
        piece = bytearray(min(left, PIECE))
        while left:
            left -= request.rfile.readinto(memoryview(piece)[: min(left, PIECE)])
        # curl and the like; the body of a POST is of no interest.
        return b""

    def answer(self, request, body):
        if "X-Amz-Target" in request.headers:
            # Quotes inside of an event are escaped, so that this is the event's own field.
            self.events += body.count(b'"message":')
            self.calls += 1
            return reply(request, 200, {})
        return self._answer_s3(request)

    def _answer_s3(self, request):
        url = urlsplit(request.path)
        query = parse_qs(url.query, keep_blank_values=True)
        headers = {"Content_Type": "application/xml", "ETag": '"e"', "x_amz_server_side_encryption": "AES256"}
        if checksum := request.headers.get("x-amz-checksum-sha256"):
            headers["x_amz_checksum_sha256"] = checksum
        if request.command == "HEAD":
            request.send_response(200)
            request.send_header("Content-Length", str(self.objects[url.path]))
            request.send_header("x-amz-server-side-encryption", "AES256")
            return request.end_headers()
        text = ""
        if request.command == "PUT":
            so_far = self.objects.get(url.path, 0) if "uploadId" in query else 0
            self.objects[url.path] = so_far + self._length
        elif "uploads" in query:
            self.objects[url.path] = 0
            text = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        elif "uploadId" in query:
            text = "<CompleteMultipartUploadResult/>"
        return reply(request, 200, text, **headers)
