# SPDX-License-Identifier: Apache-2.0
"""How a request is let in, and what happens when the secret is replaced while the
agent runs: refused with the old one, in with the new one, no restart, nothing lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import aws
from wait import wait_until

OLD, NEW = "correct-horse-battery", "staple-of-another-day"


class Mounted:
    """Secrets as Kubernetes mounts them: all are replaced at once, by a link."""

    def __init__(self, home: Path) -> None:
        self.home = home / "secrets"
        self.home.mkdir(mode=0o755)
        self.version = 0

    def put(self, **values: str) -> None:
        self.version += 1
        data = self.home / f"v{self.version}"
        data.mkdir()
        for name, value in values.items():
            (data / name).write_text(value + "\n")
        (self.home / "fresh").symlink_to(data.name)
        os.replace(self.home / "fresh", self.home / "data")

    def at(self, name: str) -> str:
        return "${file:%s}" % (self.home / "data" / name)


@pytest.fixture
def mounted(rig):
    return Mounted(rig.home)


def basic(m: Mounted, bulk, secret: str) -> dict:
    bulk.basic = ("user-of-" + secret, secret)
    return {"username": m.at("username"), "password": m.at("password")}


def api_key(m: Mounted, bulk, secret: str) -> dict:
    bulk.api_key = secret
    return {"api_key": m.at("password")}


def bearer(m: Mounted, bulk, secret: str) -> dict:
    bulk.bearer = secret
    return {"bearer_token": m.at("password")}


def sigv4(m: Mounted, bulk, secret: str) -> dict:
    bulk.sigv4 = aws.Keys("user-of-" + secret, secret, "token-of-" + secret)
    return {"aws": {"region": "eu-central-1", "access_key_id": m.at("username"),
                    "secret_access_key": m.at("password"),
                    "session_token": m.at("token")}}


WAYS = {"basic": basic, "api_key": api_key, "bearer": bearer, "sigv4": sigv4}


def values(secret: str) -> dict[str, str]:
    return {"username": "user-of-" + secret, "password": secret,
            "token": "token-of-" + secret}


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_that_is_replaced_is_read_again(rig, mounted, way):
    mounted.put(**values(OLD))
    options = WAYS[way](mounted, rig.bulk, OLD)
    rig.log.append(10)
    a = rig.start({"search": rig.search(**options)}, drain_timeout="100ms")
    rig.wait_delivered()

    WAYS[way](mounted, rig.bulk, NEW)           # the old one is not valid any more
    rig.log.append(10)
    a.wait_log(r"warn lane audit/search: .*(401|403)")
    assert rig.bulk.stored_count() == 10
    mounted.put(**values(NEW))
    rig.wait_delivered()
    a.wait_log("was read again from")
    a.wait_log("events are taken again")
    failures = rig.bulk.auth_failures
    rig.log.append(10)
    rig.wait_delivered()
    assert rig.bulk.auth_failures == failures
    for secret in (OLD, NEW):
        assert secret.encode() not in a.all_output()


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_that_is_replaced_in_time_is_never_refused(rig, mounted, way):
    """It is looked at once a second: nobody has to be turned away first."""
    mounted.put(**values(OLD))
    options = WAYS[way](mounted, rig.bulk, OLD)
    a = rig.start({"search": rig.search(**options)}, drain_timeout="100ms")
    rig.log.append(10)
    rig.wait_delivered()
    mounted.put(**values(NEW))

    def is_read_again() -> bool:
        rig.log.append(1)
        return "was read again from" in a.log()

    # Until then it is the old one, which is still good.
    wait_until(is_read_again, "the new secret was seen", context=a.log)
    WAYS[way](mounted, rig.bulk, NEW)
    rig.log.append(10)
    rig.wait_delivered()


def test_a_file_that_is_gone_leaves_the_value_before(rig, mounted):
    mounted.put(**values(OLD))
    options = bearer(mounted, rig.bulk, OLD)
    a = rig.start({"search": rig.search(**options)})
    rig.log.append(10)
    rig.wait_delivered()
    (mounted.home / "data").unlink()

    def is_said() -> bool:
        rig.log.append(1)
        return "the value before is used" in a.log()

    wait_until(is_said, "it is said", context=a.log)
    rig.wait_delivered()
    mounted.put(**values(OLD))

    def is_found_again() -> bool:
        rig.log.append(1)
        return "can be read again" in a.log()

    wait_until(is_found_again, "and its end", context=a.log)
    rig.wait_delivered()
    assert a.log().count("the value before is used") == 1


# -- SigV4 --------------------------------------------------------------------


def signed(rig, keys: aws.Keys, **over) -> dict:
    rig.new_bulk(sigv4=keys, flavour="opensearch")
    options = {"region": keys.region, "service": keys.service,
               "access_key_id": keys.id, "secret_access_key": keys.secret}
    if keys.token:
        options["session_token"] = keys.token
    return rig.search(aws=options, **over)


@pytest.mark.parametrize("service", ["es", "aoss"])
@pytest.mark.parametrize("token", [None, "session/token+with==signs"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_every_request_is_signed(rig, service, token, compression):
    """Query, body and all, as the server's own arithmetic has it."""
    keys = aws.Keys("AKIDEXAMPLE", "wJalr/XUtn+FEMI", token, service=service)
    rig.start({"search": signed(rig, keys, compression=compression, pipeline="audit",
                                batch_events=7)})
    rig.log.append(60)
    rig.wait_delivered()
    assert rig.bulk.auth_failures == 0


def test_a_wrong_key_is_waited_for(rig):
    keys = aws.Keys("AKIDEXAMPLE", "right")
    output = signed(rig, keys)
    output["aws"]["secret_access_key"] = "wrong-secret-key"
    rig.log.append(10)
    a = rig.start({"search": output}, drain_timeout="100ms")
    a.wait_log(r"warn lane audit/search: .*403.*does not match.*")
    assert rig.bulk.stored_count() == 0
    assert b"wrong-secret-key" not in a.all_output()


def test_keys_of_aws_from_the_environment(rig):
    keys = aws.Keys("AKIDEXAMPLE", "of-the-environment", "and-its-token")
    rig.new_bulk(sigv4=keys)
    rig.log.append(10)
    a = rig.start({"search": rig.search(aws={"region": "eu-central-1"})}, env={
        "AWS_ACCESS_KEY_ID": keys.id, "AWS_SECRET_ACCESS_KEY": keys.secret,
        "AWS_SESSION_TOKEN": keys.token})
    rig.wait_delivered()
    assert b"of-the-environment" not in a.all_output()
    assert rig.bulk.auth_failures == 0


def test_the_server_checks_signatures_as_published():
    """AWS's own example of its test suite, against the test's arithmetic."""
    keys = aws.Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                    region="us-east-1", service="service")
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert keys.sign("GET", "/?Param2=value2&Param1=value1", headers, list(headers),
                     headers["x-amz-date"], empty) == (
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")
