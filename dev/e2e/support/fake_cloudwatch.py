"""A CloudWatch Logs that is as strict as the API reference, and misbehaves as told. moto enforces none of the limits."""

import json
import re
import threading
import time

from .fake_http import FakeServer, reply, reset
from .secrets_init import REGION
from .signature import is_signed_by

KEY_ID, SECRET_KEY = "AKIAOURTESTS", "0nlyForTests/0nlyForTests/0nlyForTests00"
OVERHEAD = 26
MOST_BYTES, MOST_EVENTS, DAY = 1_048_576, 10_000, 24 * 3600 * 1000
# What older regions take for one event; newer ones take four times as much.
LONGEST_EVENT = 262_144


class Refusal(Exception):
    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class FakeCloudWatch(FakeServer):
    """`plan` holds a step for each coming PutLogEvents; without one, all is well."""

    def __init__(self, *plan, group="wardpost/audit", **options):
        self.plan = list(plan)
        self.groups = {}
        if group:
            self.groups[group] = {"retention": 365, "streams": {}}
        # When each stream was made, by group and stream.
        self.created = {}
        self.calls = []
        self.put_times = []
        self.poison = lambda message: False
        # What is taken as the present when too old and too new are decided.
        self.now = lambda: int(time.time() * 1000)
        self._lock = threading.Lock()
        super().__init__(**options)

    def settings(self):
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def lines(self, group="wardpost/audit"):
        """Everything that was accepted."""
        streams = self.groups[group]["streams"].values()
        return [message for events in streams for (_, message) in events]

    def answer(self, request, body):
        action = request.headers.get("X-Amz-Target", "").partition(".")[2]
        self.calls.append(action)
        try:
            if not is_signed_by(request, body, SECRET_KEY):
                raise Refusal("InvalidSignatureException", "The request signature we calculated does not match.")
            wanted = json.loads(body)
            if action == "PutLogEvents":
                # No step is spent on a call that fails in any case.
                self._stream(wanted)
                self.put_times.append(time.monotonic())
                step = self.plan.pop(0) if self.plan else None
                if step and step(request, self, wanted):
                    return
            with self._lock:
                answer = getattr(self, action)(wanted)
            reply(request, 200, answer)
        except Refusal as refusal:
            reply(request, refusal.status, {"__type": refusal.code, "message": refusal.message})

    def _stream(self, wanted):
        group = self.groups.get(wanted["logGroupName"])
        if group is None:
            raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
        if wanted["logStreamName"] not in group["streams"]:
            raise Refusal("ResourceNotFoundException", "The specified log stream does not exist.")
        return group["streams"][wanted["logStreamName"]]

    def PutLogEvents(self, wanted):
        stream, events = self._stream(wanted), wanted["logEvents"]
        stamps = [event["timestamp"] for event in events]
        sizes = [len(event["message"].encode()) + OVERHEAD for event in events]

        def require(holds, message):
            if not holds:
                raise Refusal("InvalidParameterException", message)

        require(1 <= len(events) <= MOST_EVENTS, "The batch must have between 1 and 10000 log events.")
        require(all(size > OVERHEAD for size in sizes), "Log event message must not be empty.")
        require(max(sizes) <= LONGEST_EVENT, "Log event too large.")
        require(sum(sizes) <= MOST_BYTES, "Upload too large.")
        require(stamps == sorted(stamps), "Log events in a single PutLogEvents request must be in chronological order.")
        require(stamps[-1] - stamps[0] <= DAY, "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
        require(not any(self.poison(event["message"]) for event in events), "Invalid character in a log event.")
        now = self.now()
        old = sum(stamp < now - 14 * DAY for stamp in stamps)
        new = sum(stamp <= now + 2 * 3600 * 1000 for stamp in stamps)
        stream.extend((event["timestamp"], event["message"]) for event in events[old:new])
        rejected = {}
        if old:
            rejected["tooOldLogEventEndIndex"] = old
        if new < len(events):
            rejected["tooNewLogEventStartIndex"] = new
        return {"nextSequenceToken": "ignored", **({"rejectedLogEventsInfo": rejected} if rejected else {})}

    def GetLogEvents(self, wanted):
        stream = sorted(self._stream(wanted), key=lambda event: event[0])
        assert wanted.get("startFromHead") is True
        start = int(wanted.get("nextToken", "f/0").partition("/")[2])
        end, size = start, 0
        while end < len(stream) and end - start < MOST_EVENTS and size < MOST_BYTES:
            size += len(stream[end][1].encode())
            end += 1
        events = [{"timestamp": stamp, "message": message, "ingestionTime": stamp} for stamp, message in stream[start:end]]
        return {"events": events, "nextForwardToken": f"f/{end}", "nextBackwardToken": f"b/{start}"}

    def FilterLogEvents(self, wanted):
        """Every stream; no more of a filter than alternatives of `$.action`, and two events a page."""
        alternatives = re.findall(r'\$\.action = "(\w+)"', wanted["filterPattern"])
        if wanted["logGroupName"] not in self.groups:
            raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
        streams = self.groups[wanted["logGroupName"]]["streams"].items()
        found = [
            {"logStreamName": name, "timestamp": stamp, "message": message}
            for name, events in streams
            for stamp, message in events
            if json.loads(message).get("action") in alternatives
        ]
        start = int(wanted.get("nextToken", "0"))
        more = {"nextToken": str(start + 2)} if start + 2 < len(found) else {}
        return {"events": found[start : start + 2], **more}

    def CreateLogGroup(self, wanted):
        if wanted["logGroupName"] in self.groups:
            raise Refusal("ResourceAlreadyExistsException", "The specified log group already exists")
        self.groups[wanted["logGroupName"]] = {"retention": None, "streams": {}}
        return {}

    def PutRetentionPolicy(self, wanted):
        self.groups[wanted["logGroupName"]]["retention"] = wanted["retentionInDays"]
        return {}

    def CreateLogStream(self, wanted):
        if wanted["logGroupName"] not in self.groups:
            raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
        streams = self.groups[wanted["logGroupName"]]["streams"]
        if wanted["logStreamName"] in streams:
            raise Refusal("ResourceAlreadyExistsException", "The specified log stream already exists")
        streams[wanted["logStreamName"]] = []
        self.created[wanted["logGroupName"], wanted["logStreamName"]] = self.now()
        return {}

    def DescribeLogStreams(self, wanted):
        """Two at a time, by name: there is always a page more."""
        name = wanted["logGroupName"]
        if name not in self.groups:
            raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
        start = int(wanted.get("nextToken", "0"))
        names = sorted(self.groups[name]["streams"])
        page = [
            {"logStreamName": stream, "creationTime": self.created.get((name, stream), self.now())}
            for stream in names[start : start + 2]
        ]
        return {"logStreams": page, **({"nextToken": str(start + 2)} if start + 2 < len(names) else {})}

    def DescribeLogGroups(self, wanted):
        found = [name for name in self.groups if name.startswith(wanted["logGroupNamePrefix"])]
        groups = [
            {"logGroupName": name, **({"retentionInDays": days} if (days := self.groups[name]["retention"]) else {})}
            for name in found
        ]
        return {"logGroups": groups}


# ---- Steps of a plan: true where the request was answered ------------------------------------------------------------


def well(*_):
    """All is well."""
    return False


def refuse(status, code, message="An error occurred."):
    def step(*_):
        raise Refusal(code, message, status)

    return step


def cut_off(request, *_):
    """The connection ends before anything was done."""
    reset(request)
    return True


def cut_off_afterwards(request, server, wanted):
    """Everything is accepted, and nobody hears of it."""
    server.PutLogEvents(wanted)
    reset(request)
    return True


def half_a_reply(request, server, wanted):
    """Everything is accepted, and the reply breaks off."""
    server.PutLogEvents(wanted)
    request.send_response(200)
    request.send_header("Content-Type", "application/x-amz-json-1.1")
    request.send_header("Content-Length", "100")
    request.end_headers()
    request.wfile.write(b'{"nextSeq')
    request.wfile.flush()
    reset(request)
    return True


def garbled(request, *_):
    """Somebody answers who is not AWS."""
    reply(request, 200, "<html>Please sign in to this network</html>", Content_Type="text/html")
    return True


def slow(seconds):
    """The reply takes so long."""

    def step(request, server, wanted):
        server.hold(seconds)
        return False

    return step


def rejecting(old=None, expired=None, new=None):
    """Rejects by these indices whatever the events' times are: the service's clock is what counts."""

    def step(request, server, wanted):
        events = wanted["logEvents"]
        low = max(old or 0, expired or 0)
        high = len(events) if new is None else new
        server._stream(wanted).extend((event["timestamp"], event["message"]) for event in events[low:high])
        info = {"tooOldLogEventEndIndex": old, "expiredLogEventEndIndex": expired, "tooNewLogEventStartIndex": new}
        reply(request, 200, {"rejectedLogEventsInfo": {name: index for name, index in info.items() if index is not None}})
        return True

    return step


def delete_group(request, server, wanted):
    """The group has been deleted, with what was in it."""
    server.groups.pop(wanted["logGroupName"])
    return False


def delete_stream(request, server, wanted):
    server.groups[wanted["logGroupName"]]["streams"].pop(wanted["logStreamName"])
    return False
