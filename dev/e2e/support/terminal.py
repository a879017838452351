"""A program on a terminal, where it shows how far it is, and asks."""

import os
import pty
import select
import subprocess
import time


def on_terminal(command, *, env, answers=None, seconds=60):
    """Runs it to its end; types an answer when its question appears. Gives the exit code and everything that was shown."""
    answers = dict(answers or {})
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [str(part) for part in command], env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown, deadline = b"", time.monotonic() + seconds
    try:
        while True:
            readable, _, _ = select.select([ours], [], [], max(0, deadline - time.monotonic()))
            assert readable, f"nothing more came for so long; so far: {shown!r}"
            try:
                piece = os.read(ours, 4096)
            except OSError:
                # The last who had it open has closed it.
                piece = b""
            if not piece:
                return child.wait(seconds), shown.decode()
            shown += piece
            for question in [question for question in answers if question.encode() in shown]:
                os.write(ours, answers.pop(question).encode() + b"\n")
    finally:
        child.kill()
        child.wait()
        os.close(ours)
