# SPDX-License-Identifier: Apache-2.0
"""Passwords and keys appear nowhere: not in the log, not in `check`, not in the
arguments of the process, not in the state directory."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from agent import CONFIG, run_program
from checks import file_has
from wait import wait_until

PASSWORD = "correct-horse-battery"
KEY = "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHA="
USER = "tallyman"


def forms(secret: str) -> list[bytes]:
    """The secret, and what HTTP makes of it."""
    pair = base64.b64encode(f"{USER}:{secret}".encode())
    return [secret.encode(), pair, base64.b64encode(secret.encode())]


def assert_absent(secret: str, *texts: bytes) -> None:
    for text in texts:
        for form in forms(secret):
            assert form not in text, text


@pytest.fixture(params=["plain", "environment", "file"])
def written(request, rig):
    """write(secret) -> (what stands in the configuration, the environment)."""

    def write(secret: str) -> tuple[str, dict[str, str] | None]:
        if request.param == "plain":
            return secret, None
        if request.param == "environment":
            return "${E2E_SECRET}", {"E2E_SECRET": secret}
        path = rig.home / "secret"
        path.write_text(secret + "\n")
        return "${file:%s}" % path, None

    return write


def everything_said(rig, a) -> list[bytes]:
    cmdline = Path(f"/proc/{a.process.pid}/cmdline").read_bytes()
    a.counters()
    a.stop()
    state = [p.read_bytes() for p in rig.state.rglob("*") if p.is_file()]
    return [cmdline, a.all_output(), *state]


def test_a_password_that_works(rig, written):
    value, env = written(PASSWORD)
    rig.new_bulk(basic=(USER, PASSWORD))
    rig.log.append(10)
    a = rig.start({"search": rig.search(username=USER, password=value)}, env=env,
                  args=("--log-level", "debug"))
    rig.wait_delivered()
    assert_absent(PASSWORD, *everything_said(rig, a))


def test_a_password_that_is_refused(rig, written):
    value, env = written(PASSWORD)
    rig.new_bulk(basic=(USER, "another"))
    rig.log.append(10)
    a = rig.start({"search": rig.search(username=USER, password=value)}, env=env,
                  args=("--log-level", "debug"), drain_timeout="100ms")
    a.wait_log("401")
    assert_absent(PASSWORD, *everything_said(rig, a))


def test_an_api_key_that_is_refused(rig, written):
    value, env = written(KEY)
    rig.new_bulk(api_key="another")
    rig.log.append(10)
    a = rig.start({"search": rig.search(api_key=value)}, env=env,
                  args=("--log-level", "debug"), drain_timeout="100ms")
    a.wait_log("401")
    assert_absent(KEY, *everything_said(rig, a))


def test_an_api_key_that_works_and_a_refused_event(rig, written):
    value, env = written(KEY)
    rig.new_bulk(api_key=KEY)
    rig.bulk.poison = lambda o: True
    rig.log.append(3)
    a = rig.start({"search": rig.search(api_key=value), "archive": rig.file()},
                  env=env, args=("--log-level", "debug"))
    rig.wait_settled(a, read=3)
    assert len(a.dead("search")) == 3
    assert_absent(KEY, *everything_said(rig, a))


# Where each kind of secret stands, beside what else it takes.
KINDS = {
    "password": lambda s: {"username": USER, "password": s},
    "api_key": lambda s: {"api_key": s},
    "bearer_token": lambda s: {"bearer_token": s},
    "aws_key": lambda s: {"aws": {"region": "eu-central-1", "access_key_id": "AKID",
                                  "secret_access_key": s}},
    "aws_token": lambda s: {"aws": {"region": "eu-central-1", "access_key_id": "AKID",
                                    "secret_access_key": "x" * 20,
                                    "session_token": s}},
    "key_password": lambda s: {"tls": {"cert_file": "/none.crt", "key_file": "/none.key",
                                       "key_password": s}},
    "proxy_password": lambda s: {"proxy": "http://127.0.0.1:1", "proxy_username": USER,
                                 "proxy_password": s},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_of_each_kind_that_does_not_let_in(rig, written, kind):
    value, env = written(PASSWORD)
    scheme = "https" if kind == "key_password" else "http"
    rig.new_bulk(api_key="another")
    rig.log.append(10)
    a = rig.start({"search": rig.search(
        hosts=[rig.bulk.url.replace("http", scheme, 1)], **KINDS[kind](value))},
        env=env, args=("--log-level", "debug"), drain_timeout="100ms")
    a.wait_log(r"warn lane audit/search: ")
    assert_absent(PASSWORD, *everything_said(rig, a))


@pytest.mark.parametrize("kind", KINDS)
def test_check_prints_no_secret_of_any_kind(rig, kind):
    code, text = check_output(rig, **KINDS[kind](PASSWORD))
    assert code == 0, text
    assert_absent(PASSWORD, text)
    code, text = check_output(rig, linger="soon", **KINDS[kind](PASSWORD + "\x07"))
    assert code == CONFIG
    assert_absent(PASSWORD, text)


@pytest.mark.parametrize("kind", ["password", "api_key", "bearer_token", "aws_token"])
def test_a_server_that_shows_the_request_shows_no_secret(rig, kind):
    """Some print all headers into their error page."""
    rig.bulk.echoes = True
    rig.log.append(10)
    a = rig.start({"search": rig.search(**KINDS[kind](PASSWORD))},
                  args=("--log-level", "debug"), drain_timeout="100ms")
    a.wait_log(r"warn lane audit/search: .*500.*\*\*\*\*")
    assert_absent(PASSWORD, *everything_said(rig, a))


def check_output(rig, **over) -> tuple[int, bytes]:
    path = rig.write_config({"search": rig.search(**over)})
    done = run_program("check", path)
    return done.returncode, (done.stdout + done.stderr).encode()


def test_check_prints_no_secret(rig):
    code, text = check_output(rig, username=USER, password=PASSWORD)
    assert code == 0
    assert_absent(PASSWORD, text)
    code, text = check_output(rig, api_key=KEY)
    assert code == 0
    assert_absent(KEY, text)


def test_check_prints_no_secret_where_it_complains(rig):
    code, text = check_output(rig, username=USER, pasword=PASSWORD)
    assert code == CONFIG and b"pasword" in text
    assert_absent(PASSWORD, text)
    code, text = check_output(rig, username=USER, password=[PASSWORD])
    assert code == CONFIG
    assert_absent(PASSWORD, text)
    code, text = check_output(rig, api_key={"x": KEY})
    assert code == CONFIG
    assert_absent(KEY, text)
    code, text = check_output(rig, username=USER, password=PASSWORD, api_key=KEY,
                              linger="soon")
    assert code == CONFIG
    assert_absent(PASSWORD, text)
    assert_absent(KEY, text)


def test_a_password_in_the_address_is_not_printed(rig):
    """Refused or used, but not shown."""
    rig.log.append(3)
    a = rig.agent({"search": rig.search(
        hosts=[f"http://{USER}:{PASSWORD}@127.0.0.1:{rig.bulk.port}"]),
        "archive": rig.file()}, args=("--log-level", "debug"))
    checked = run_program("check", a.config)
    assert_absent(PASSWORD, checked.stdout.encode(), checked.stderr.encode())
    a.launch()
    if checked.returncode == CONFIG:
        assert a.wait_exit() == CONFIG
    else:
        wait_until(file_has(rig.archive, rig.log.text()), "archived")
        rig.bulk.stop()
        rig.log.append(3)
        a.wait_log(r"(warn|error) lane audit/search: ")
        rig.bulk.start()
        rig.wait_delivered()
    assert_absent(PASSWORD, a.all_output())


@pytest.mark.parametrize("url", [f"http://{USER}:{PASSWORD}@127.0.0.1:1",
                                 f"{USER}:{PASSWORD}@127.0.0.1:1"])
def test_a_password_in_hosts_is_not_printed(tmp_path, url):
    log = tmp_path / "audit.log"
    log.touch()
    for command in ("ship", "verify"):
        done = run_program(command, log, "--hosts", url)
        assert done.returncode == 2 and "***@127.0.0.1:1" in done.stderr
        assert_absent(PASSWORD, done.stdout.encode(), done.stderr.encode())
