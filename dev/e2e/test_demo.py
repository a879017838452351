"""`make demo` as a person starts it: what it prints can be copied into another terminal."""

import re
import signal
import subprocess

import pytest

from support.processes import binary, clean_environment
from support.waiting import wait_until

END = "Ctrl-C stops everything."


@pytest.mark.parametrize("folder", ["demo", "the clinic's demo"])
def test_the_commands_that_it_prints_work_beside_it(tmp_path, folder):
    said = tmp_path / "said"
    command = [binary("demo"), "--port", "0", "--provider-port", "0", "--data", tmp_path / folder]
    with said.open("wb") as output:
        demo = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean_environment())
    try:
        wait_until("the demo is ready", lambda: END in said.read_text() or demo.poll() is not None, seconds=90)
        assert demo.poll() is None, said.read_text()
        (printed,) = re.findall(r"^Commands.*\n((?: .*\n)+)", said.read_text(), re.MULTILINE)

        def shell(script):
            return subprocess.run(
                ["bash", "-euc", script], cwd="/", env=clean_environment(), capture_output=True, text=True, timeout=60
            )

        listed = shell(printed)
        assert listed.returncode == 0, printed + listed.stderr
        assert "has signed in" in listed.stdout, listed.stdout
        for others in ("audit verify", "emergency-access list", "--check-config"):
            done = shell(printed.replace("staff list", others))
            assert done.returncode == 0, others + done.stderr
        # Those of the other programs look where the demo's own look.
        settings = printed.splitlines()[0]
        for program, command, told in (
            ("log-shipper", "status", "audit.jsonl"), ("log-shipper", "verify", "rows compared"), ("backup-worker", "list", "wardpost-"),
        ):
            wait_until(f"{program} {command}", lambda: told in shell(f"{settings}\n'{binary(program)}' {command}").stdout, seconds=60)
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0, said.read_text()
