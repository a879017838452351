"""What is in the secret is checked before anything is written: every error at once, by its key and never by its value."""

import json

import pytest

from support.secrets_init import CONFIGURATION, DONE, REQUIRED, SecretsInit, good_secret

# Stands in broken secrets where a value is; no run may say it.
LEAK = "do-not-say-this-aloud"

MALFORMED = {
    "nothing": ("", ["not JSON"]),
    "not JSON": (f'{{"APP_SECRET": "{LEAK}",', ["not JSON"]),
    "a key file by mistake": (f"-----BEGIN PRIVATE KEY-----\n{LEAK}\n", ["not JSON"]),
    "two objects": (json.dumps(good_secret()) + json.dumps(good_secret()), ["not JSON"]),
    "an array": (json.dumps([LEAK]), ["an array", "JSON object"]),
    "a text": (json.dumps(LEAK), ["a string", "JSON object"]),
    "a number": ("8675309", ["a number", "JSON object"]),
    "null": ("null", ["null", "JSON object"]),
    "a number inside": (json.dumps(good_secret() | {"EXTRA_KEY": 867530912}), ["EXTRA_KEY is a number"]),
    "null inside": (json.dumps(good_secret() | {"APP_SECRET": None}), ["APP_SECRET is null"]),
    "an object inside": (json.dumps(good_secret() | {"EXTRA_KEY": {"a": LEAK}}), ["EXTRA_KEY is an object"]),
    "an array inside": (json.dumps(good_secret() | {"EXTRA_KEY": [LEAK]}), ["EXTRA_KEY is an array"]),
    "a boolean inside": (json.dumps(good_secret() | {"EXTRA_KEY": True}), ["EXTRA_KEY is a boolean"]),
    "a key twice": (json.dumps(good_secret())[:-1] + f', "APP_SECRET": "{LEAK}{LEAK}"}}', ["APP_SECRET is there twice"]),
    "too short": (json.dumps(good_secret(APP_SECRET=LEAK)), ["APP_SECRET", "32 bytes"]),
    "one byte too short": (json.dumps(good_secret(APP_SECRET="s" * 31)), ["APP_SECRET", "32 bytes"]),
    "a key of other letters": (json.dumps(good_secret(DB_ENCRYPTION_KEY="g" * 64)), ["DB_ENCRYPTION_KEY", "64 hex"]),
    "a key cut short": (json.dumps(good_secret(DB_ENCRYPTION_KEY="ab" * 31 + "c")), ["DB_ENCRYPTION_KEY", "64 hex"]),
    "a key with a line break": (json.dumps(good_secret(DB_ENCRYPTION_KEY="ab" * 32 + "\n")), ["DB_ENCRYPTION_KEY"]),
    "an illegal name": (json.dumps(good_secret() | {"MY-KEY": LEAK}), ["MY-KEY"]),
    "a name that begins with a digit": (json.dumps(good_secret() | {"1KEY": LEAK}), ["1KEY"]),
    "an empty name": (json.dumps(good_secret() | {"": LEAK}), ["name", "empty"]),
    "a name with a line break": (json.dumps(good_secret() | {"A=1\nB": LEAK}), ["B"]),
    "a name that is a secret": (json.dumps(good_secret() | {LEAK * 3: "x"}), ["characters long"]),
    "a misspelt setting": (json.dumps(good_secret() | {"WARDPOST_LITSEN": LEAK}), ["WARDPOST_LITSEN", "WARDPOST_LISTEN"]),
    "a NUL": (json.dumps(good_secret() | {"EXTRA_KEY": f"{LEAK}\0"}), ["EXTRA_KEY", "NUL"]),
    "a carriage return": (json.dumps(good_secret() | {"EXTRA_KEY": f"{LEAK}\r\n"}), ["EXTRA_KEY", "carriage return"]),
    "nested without end": ("[" * 50_000, []),
} | {
    f"{key} is {how}": (json.dumps(good_secret(**{key: value})), [f"{key} is {how}"])
    for key in REQUIRED
    for how, value in {"missing": None, "empty": ""}.items()
}


@pytest.fixture
def program(tmp_path):
    program = SecretsInit(tmp_path)
    program.hide(LEAK)
    return program


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_secret_is_refused_by_key_and_the_good_file_stays(program, name):
    text, words = MALFORMED[name]
    good = good_secret()
    program.provide(good)
    program.run().expect(DONE)
    before = program.env_file.stat()
    if text.startswith('{"') and text.endswith('"}'):
        program.hide_secret(json.loads(text.partition("}")[0] + "}"))
    program.provide_text(text)
    for arguments in ((), ("--check",), ("--exec", "/bin/echo", "it ran")):
        run = program.run(*arguments).expect(CONFIGURATION, *words)
        assert "it ran" not in run.out
    assert program.env_file.stat().st_mtime_ns == before.st_mtime_ns
    assert program.written() == good
    assert program.left_beside() == []


def test_every_fault_is_named_at_once(program):
    program.provide_text(
        json.dumps({"GOOGLE_CLIENT_ID": "", "APP_SECRET": LEAK, "DB_ENCRYPTION_KEY": LEAK, "MORE": 1, "NOT LEGAL": LEAK})
    )
    run = program.run().expect(CONFIGURATION, "MORE", "NOT LEGAL", *REQUIRED)
    assert not program.env_file.exists()
    assert len([line for line in run.err.splitlines() if '"ERROR"' in line]) >= 6, "each error in a line of its own"


def test_a_secret_that_is_not_utf8_is_refused(program):
    program.provide_text("")
    program.source.write_bytes(b'{"APP_SECRET": "\xff\xfe"}')
    program.run().expect(CONFIGURATION, str(program.source), "UTF-8")


def test_further_keys_pass_through(program):
    secret = good_secret(WARDPOST_STAFF_DOMAINS="clinic.example", _lower_1="x", EMPTY_IS_FINE="")
    program.provide(secret)
    program.run().expect(DONE)
    assert program.written() == secret


def test_a_reader_is_given_the_names_it_needs(tmp_path):
    program = SecretsInit(tmp_path, WARDPOST_ENV_KEYS="DB_ENCRYPTION_KEY")
    secret = good_secret()
    program.provide(secret)
    program.run().expect(DONE)
    assert program.written() == {"DB_ENCRYPTION_KEY": secret["DB_ENCRYPTION_KEY"]}
    program.run("--check").expect(DONE)
    program.run(WARDPOST_ENV_KEYS="DB_KEY").expect(CONFIGURATION, "WARDPOST_ENV_KEYS asks for DB_KEY")
