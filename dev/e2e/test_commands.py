"""What an operator types: settings checked, staff looked after, the site's health asked for, and what each exits with."""

import json
import subprocess

import pytest

from support.processes import binary, clean_environment


def web(*arguments, **settings):
    return subprocess.run(
        [binary("web"), *arguments], env=clean_environment(**settings), capture_output=True, text=True, timeout=60
    )


def settings_of(site, **more):
    port = site.address.rsplit(":", 1)[1]
    return {
        "WARDPOST_ENV_FILE": str(site.data / "env"),
        "WARDPOST_DB": str(site.database()),
        "WARDPOST_LISTEN": f"127.0.0.1:{port}",
        "WARDPOST_PUBLIC_URL": site.address,
        "WARDPOST_STAFF_DOMAINS": "clinic.example",
        **more,
    }


def test_check_config_tells_every_setting_and_no_secret(site):
    result = web("--check-config", **settings_of(site))
    assert result.returncode == 0, result.stderr
    assert site.address in result.stdout
    for line in (site.data / "env").read_text().splitlines():
        name, _, value = line.partition("=")
        if name in ("GOOGLE_CLIENT_SECRET", "APP_SECRET", "DB_ENCRYPTION_KEY"):
            assert name in result.stdout
            assert value.strip('"') not in result.stdout + result.stderr
    as_json = json.loads(web("--check-config", "--json", **settings_of(site)).stdout)
    assert "WARDPOST_PUBLIC_URL" in json.dumps(as_json)


def test_every_error_of_the_settings_is_told_at_once_and_nothing_starts(site):
    result = web(
        WARDPOST_ENV_FILE=str(site.data / "env"),
        WARDPOST_LISTEN="80800",
        WARDPOST_SESSION_IDLE_MINUTES="31",
        WARDPOST_TRUSTED_PROXYES="10.0.0.0/8",
    )
    assert result.returncode == 78
    for name in ("WARDPOST_LISTEN", "WARDPOST_SESSION_IDLE_MINUTES", "WARDPOST_PUBLIC_URL", "WARDPOST_STAFF_DOMAINS"):
        assert name in result.stderr
    assert "WARDPOST_TRUSTED_PROXIES" in result.stderr, "a mistyped name is told the right one"


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("WARDPOST_STAFF_DOMAINS", "@clinic.example,mail.example", "write clinic.example"),
        ("WARDPOST_STAFF_DOMAINS", "@clinic", "is not a domain such as clinic.example"),
        ("WARDPOST_STAFF_EMAILS", "@clinic.example", "write clinic.example into WARDPOST_STAFF_DOMAINS"),
        # Its cookies would cross a network in plaintext.
        ("WARDPOST_PUBLIC_URL", "http://messages.clinic.example", "must begin with https://"),
        ("WARDPOST_PUBLIC_URL", "http://192.168.1.20:8080", "must begin with https://"),
    ],
)
def test_what_would_let_nobody_in_or_anybody_listen_is_refused_before_the_start(site, name, value, advice):
    for arguments in (["--check-config"], []):
        result = web(*arguments, **settings_of(site, **{name: value}))
        assert result.returncode == 78, result.stdout + result.stderr
        assert f"{name}: " in result.stderr and advice in result.stderr, result.stderr


def test_an_env_file_that_others_may_read_is_refused(site, tmp_path):
    copy = tmp_path / "env"
    copy.write_text((site.data / "env").read_text())
    copy.chmod(0o640)
    result = web("audit", "verify", **settings_of(site, WARDPOST_ENV_FILE=str(copy)))
    assert result.returncode == 78
    assert str(copy) in result.stderr


def test_a_wrong_key_and_a_missing_database_are_told_apart(site, tmp_path):
    wrong = web("audit", "verify", **settings_of(site, DB_ENCRYPTION_KEY="0" * 64))
    missing = web("audit", "verify", **settings_of(site, WARDPOST_DB=str(tmp_path / "nowhere.db")))
    assert (wrong.returncode, missing.returncode) == (78, 78)
    assert wrong.stderr != missing.stderr
    assert not (tmp_path / "nowhere.db").exists(), "a command makes no database"


def test_staff_are_listed_and_switched_off_and_on(site, visitor):
    huong = visitor("huong")
    [person] = [person for person in json.loads(site.command("staff", "list", "--json").stdout) if "huong" in person["email"]]
    assert person["enabled"] and person["last_sign_in"]
    off = site.command("staff", "disable", "HUONG@clinic.example", "--json")
    assert (off.returncode, json.loads(off.stdout)["sessions_ended"]) == (0, 1)
    assert huong.get("/messages").status_code == 303
    assert "off" in site.command("staff", "list").stdout
    on = site.command("staff", "enable", "huong@clinic.example")
    assert on.returncode == 0
    assert huong.get("/messages").status_code == 303, "an ended session stays ended"
    assert visitor("huong").get("/messages").status_code == 200
    log = visitor("amina").get("/audit/export.jsonl").text
    actions = [json.loads(line)["action"] for line in log.splitlines()]
    assert {"STAFF_DISABLED", "SESSION_ENDED", "STAFF_ENABLED"} <= set(actions)


def test_somebody_who_never_signed_in_cannot_be_switched_off_by_mistake(site):
    result = site.command("staff", "disable", "nobody@clinic.example")
    assert result.returncode == 1
    assert "staff list" in result.stderr


def test_the_health_check_asks_the_site_that_runs(site):
    assert web("healthcheck", **settings_of(site)).returncode == 0
    nobody = web("healthcheck", **settings_of(site, WARDPOST_LISTEN="127.0.0.1:1"))
    assert nobody.returncode == 69
    assert "127.0.0.1:1" in nobody.stderr


@pytest.mark.parametrize("command", [[], ["audit", "verify"], ["staff", "list"], ["staff", "disable"], ["healthcheck"]])
def test_every_command_has_help_with_an_example(command):
    result = web(*command, "--help")
    assert result.returncode == 0
    assert "Example" in result.stdout
    assert f"web {' '.join(command)}".strip() in result.stdout


def test_a_command_that_is_not_understood_is_a_usage_error():
    result = web("audit", "explode")
    assert result.returncode == 64
    assert result.stdout == ""
