# SPDX-License-Identifier: Apache-2.0
"""TLS: who is let in, who is not, and what the log says to do about it. Nothing is
restarted: where a file is put right, delivery goes on."""

from __future__ import annotations

import shutil
import ssl

import pytest

from certs import Authority

WARN = r"warn lane audit/search: .*"


@pytest.fixture
def ca(rig):
    return Authority(rig.home)


def start(rig, tls: dict | None, **over):
    """An agent with events to deliver."""
    if tls is not None:
        over["tls"] = tls
    rig.log.append(20)
    return rig.start({"search": rig.search(**over)}, drain_timeout="100ms")


def replace(path, by) -> None:
    """Whole and at once, as a mounted file is."""
    fresh = path.with_suffix(".new")
    shutil.copy(by, fresh)
    fresh.rename(path)


def test_a_ca_file_is_trusted(rig, ca):
    rig.new_bulk(tls=ca.server())
    start(rig, {"ca_file": ca.ca.cert})
    rig.wait_delivered()


def test_the_systems_store_does_not_know_a_private_ca(rig, ca):
    rig.new_bulk(tls=ca.server())
    a = start(rig, None)
    a.wait_log(WARN + "certificate.*tls.ca_file")
    assert rig.bulk.stored_count() == 0


def test_a_ca_file_that_is_put_right_is_read_again(rig, ca):
    rig.new_bulk(tls=ca.server())
    mine = rig.home / "mine.crt"
    shutil.copy(Authority(rig.home, "other").ca.cert, mine)
    a = start(rig, {"ca_file": mine})
    a.wait_log(WARN + "certificate.*tls.ca_file")
    assert rig.bulk.request_count() == 0
    replace(mine, ca.ca.cert)
    rig.wait_delivered()
    a.wait_log("events are taken again")


def test_a_ca_file_that_is_not_there_yet_is_waited_for(rig, ca):
    rig.new_bulk(tls=ca.server())
    mine = rig.home / "mine.crt"
    a = start(rig, {"ca_file": mine})
    a.wait_log(WARN + "tls.ca_file be read")
    replace(mine, ca.ca.cert)
    rig.wait_delivered()


def test_a_certificate_that_has_expired_is_refused(rig, ca):
    rig.new_bulk(tls=ca.server(ca.issue("old", days=-1)))
    a = start(rig, {"ca_file": ca.ca.cert})
    a.wait_log(WARN + "expired.*renew")
    assert rig.bulk.request_count() == 0


def test_a_certificate_of_another_name_is_refused(rig, ca):
    rig.new_bulk(tls=ca.server(ca.issue("es", "DNS:es.test")))
    a = start(rig, {"ca_file": ca.ca.cert})
    a.wait_log(WARN + "server_name")
    assert rig.bulk.request_count() == 0


def test_the_server_name_is_what_is_asked_for_and_checked(rig, ca):
    asked = []
    context = ca.server(ca.issue("es", "DNS:es.test"))
    context.sni_callback = lambda sock, name, ctx: asked.append(name)
    rig.new_bulk(tls=context)
    a = start(rig, {"ca_file": ca.ca.cert, "server_name": "es.test"})
    rig.wait_delivered()
    assert asked and set(asked) == {"es.test"}
    a.stop()
    wrong = rig.agent({"search": rig.search(tls={
        "ca_file": ca.ca.cert, "server_name": "other.test"})}, drain_timeout="100ms")
    rig.log.append(1)
    wrong.start()
    wrong.wait_log(WARN + "server_name")


def test_several_hosts_may_share_one_server_name(rig, ca):
    context = ca.server(ca.issue("es", "DNS:es.test"))
    first, second = rig.new_bulk(tls=context), rig.new_bulk(tls=context)
    rig.log.append(40)
    rig.start({"search": rig.search(
        hosts=[first.url, second.url], batch_events=5,
        tls={"ca_file": ca.ca.cert, "server_name": "es.test"}),
        "archive": rig.file()})
    rig.wait_archived()
    rig.wait_settled(rig.agents[0], read=40)
    assert first.stored_count() + second.stored_count() == 40
    assert first.stored_count() > 0 and second.stored_count() > 0


# -- client certificates ------------------------------------------------------


def test_a_client_certificate_lets_in(rig, ca):
    rig.new_bulk(tls=ca.server(clients=ca))
    mine = ca.issue("client")
    start(rig, {"ca_file": ca.ca.cert, "cert_file": mine.cert, "key_file": mine.key})
    rig.wait_delivered()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_client_certificate_where_one_is_wanted(rig, ca, newest):
    rig.new_bulk(tls=ca.server(clients=ca, newest=newest))
    a = start(rig, {"ca_file": ca.ca.cert})
    a.wait_log(WARN + "(tls.cert_file|alert)")
    assert rig.bulk.request_count() == 0


def test_a_client_certificate_that_is_replaced_is_used(rig, ca):
    """It was another CA's; a renewed one takes its place."""
    rig.new_bulk(tls=ca.server(clients=ca))
    mine = Authority(rig.home, "other").issue("client")
    a = start(rig, {"ca_file": ca.ca.cert, "cert_file": mine.cert,
                    "key_file": mine.key})
    a.wait_log(WARN)
    good = ca.issue("good")
    replace(mine.key, good.key)
    replace(mine.cert, good.cert)
    rig.wait_delivered()


def test_a_key_that_is_encrypted(rig, ca):
    """Its password is put right while it runs."""
    rig.new_bulk(tls=ca.server(clients=ca))
    mine = ca.issue("client", password="hunter2-of-the-key")
    password = rig.home / "password"
    password.write_text("wrong\n")
    a = start(rig, {"ca_file": ca.ca.cert, "cert_file": mine.cert,
                    "key_file": mine.key, "key_password": "${file:%s}" % password})
    a.wait_log(WARN + "key_password")
    password.write_text("hunter2-of-the-key\n")
    rig.wait_delivered()
    assert b"hunter2-of-the-key" not in a.all_output()


# -- versions -----------------------------------------------------------------


def test_a_server_without_the_least_version_is_refused(rig, ca):
    rig.new_bulk(tls=ca.server(newest=ssl.TLSVersion.TLSv1_2))
    a = start(rig, {"ca_file": ca.ca.cert, "min_version": 1.3})
    a.wait_log(WARN + "tls.min_version")
    assert rig.bulk.request_count() == 0


@pytest.mark.parametrize("newest, least", [
    (ssl.TLSVersion.TLSv1_2, 1.2), (ssl.TLSVersion.TLSv1_3, 1.3)])
def test_a_server_with_the_least_version_is_taken(rig, ca, newest, least):
    rig.new_bulk(tls=ca.server(newest=newest))
    start(rig, {"ca_file": ca.ca.cert, "min_version": least})
    rig.wait_delivered()


# -- a pinned CA --------------------------------------------------------------


@pytest.mark.parametrize("colons", [False, True])
def test_a_ca_is_known_by_its_fingerprint(rig, ca, colons):
    rig.new_bulk(tls=ca.server(with_ca=True))
    hash_ = ca.ca.fingerprint()
    if colons:
        hash_ = ":".join(hash_[i:i + 2] for i in range(0, 64, 2)).upper()
    start(rig, {"ca_fingerprint": '"%s"' % hash_})
    rig.wait_delivered()


def test_another_ca_than_the_pinned_one_is_refused(rig, ca):
    """The log names the one that came, for a person to compare."""
    other = Authority(rig.home, "other")
    rig.new_bulk(tls=other.server(with_ca=True))
    a = start(rig, {"ca_fingerprint": ca.ca.fingerprint()})
    said = a.wait_log(WARN + "fingerprint.* has ([0-9A-F:]{95})")
    assert said[1].replace(":", "").lower() == other.ca.fingerprint()
    assert rig.bulk.request_count() == 0


def test_a_ca_that_is_not_sent_along_is_not_known(rig, ca):
    rig.new_bulk(tls=ca.server())
    a = start(rig, {"ca_fingerprint": ca.ca.fingerprint()})
    a.wait_log(WARN + "fingerprint")
    assert rig.bulk.request_count() == 0


def test_the_servers_own_certificate_is_no_ca(rig, ca):
    pair = ca.issue("server")
    rig.new_bulk(tls=ca.server(pair, with_ca=True))
    a = start(rig, {"ca_fingerprint": pair.fingerprint()})
    a.wait_log(WARN + "fingerprint")
    assert rig.bulk.request_count() == 0


def test_a_pinned_ca_that_did_not_sign_the_certificate_is_refused(rig, ca):
    """Anybody may send its certificate along."""
    other = Authority(rig.home, "other")
    pair = other.issue("server")
    pair.cert.write_text(pair.cert.read_text() + ca.ca.cert.read_text())
    rig.new_bulk(tls=other.server(pair))
    a = start(rig, {"ca_fingerprint": ca.ca.fingerprint()})
    a.wait_log(WARN + "certificate")
    assert rig.bulk.request_count() == 0


@pytest.mark.parametrize("kw, word", [
    ({"names": "DNS:es.test"}, "server_name"), ({"days": -1}, "expired")])
def test_name_and_dates_are_checked_under_a_pinned_ca(rig, ca, kw, word):
    rig.new_bulk(tls=ca.server(ca.issue("es", **kw), with_ca=True))
    a = start(rig, {"ca_fingerprint": ca.ca.fingerprint()})
    a.wait_log(WARN + word)
    assert rig.bulk.request_count() == 0


# -- the wrong scheme ---------------------------------------------------------


def test_plain_http_to_a_tls_server(rig, ca):
    rig.new_bulk(tls=ca.server())
    a = start(rig, None, hosts=[rig.bulk.url.replace("https:", "http:")])
    a.wait_log(WARN + "https://")


def test_tls_to_a_plain_server(rig):
    a = start(rig, None, hosts=[rig.bulk.url.replace("http:", "https:")])
    a.wait_log(WARN + "http://")
