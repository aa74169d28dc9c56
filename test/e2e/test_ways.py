# SPDX-License-Identifier: Apache-2.0
"""The way to a server: in turn, around those that are down, through a proxy or a
socket, to nodes that were found, to a name whose address has changed."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from bulk_server import free_port
from certs import Authority
from checks import assert_once
from proxy import Proxy
from wait import wait_until


def all_in(rig, *bulks) -> None:
    """Every line is in one of them, once."""
    want = len(rig.log.lines)
    wait_until(lambda: sum(b.stored_count() for b in bulks) >= want,
               "every event is in one of them", context=rig.logs_tail)
    assert sum(b.stored_count() for b in bulks) == want


# -- hosts in turn ------------------------------------------------------------


def test_hosts_are_used_in_turn(rig):
    bulks = [rig.new_bulk() for _ in range(3)]
    rig.start({"search": rig.search(hosts=[b.url for b in bulks], batch_events=5)})
    rig.log.append(90)
    all_in(rig, *bulks)
    assert all(b.request_count() >= 3 for b in bulks)


def test_a_host_that_is_down_is_passed_over(rig):
    """Not tried by each request; and one of three that is down is no outage."""
    up, down = rig.new_bulk(), rig.new_bulk()
    down.stop()
    a = rig.start({"search": rig.search(hosts=[down.url, up.url], batch_events=5)})
    for n in range(20):
        rig.log.append(10)
        wait_until(lambda: up.stored_count() == 10 * (n + 1), "delivered",
                   context=a.log)
    c = rig.wait_settled(a, read=200)["audit/search"]
    assert c["requests"] >= 40 and c["blocked"] <= 10
    warnings = [line for line in a.log().splitlines() if " warn lane" in line]
    assert len(warnings) <= 1, warnings


def test_a_host_that_comes_back_is_used_again(rig):
    up, down = rig.new_bulk(), rig.new_bulk()
    down.stop()
    a = rig.start({"search": rig.search(hosts=[down.url, up.url])})
    rig.log.append(20)
    all_in(rig, up)
    down.start()

    def is_used() -> bool:
        rig.log.append(1)
        return down.stored_count() > 0

    wait_until(is_used, "it is used again", 60, a.log)
    all_in(rig, up, down)


def test_a_host_in_trouble_is_passed_over_as_well(rig):
    import faults
    good, bad = rig.new_bulk(), rig.new_bulk()
    bad.whole_fault = lambda n: faults.UNAVAILABLE
    rig.start({"search": rig.search(hosts=[bad.url, good.url], batch_events=5)})
    rig.log.append(100)
    all_in(rig, good)
    assert bad.request_count() < good.request_count()


def test_connections_are_kept(rig):
    """A hundred requests, no more connections than requests at once."""
    a = rig.start({"search": rig.search(in_flight=2)})
    for n in range(100):
        rig.log.append(1)
        wait_until(lambda: rig.bulk.stored_count() == n + 1, "stored", context=a.log)
    assert rig.bulk.request_count() >= 100
    assert rig.bulk.connections <= 4


# -- a unix socket ------------------------------------------------------------


def test_a_unix_socket(rig):
    rig.new_bulk(unix=rig.home / "es.sock")
    rig.log.append(30)
    rig.start({"search": rig.search(unix_socket=rig.home / "es.sock")})
    rig.wait_delivered()


def test_a_unix_socket_that_is_not_there_yet(rig):
    bulk = rig.new_bulk(unix=rig.home / "es.sock")
    bulk.stop()
    (rig.home / "es.sock").unlink()
    rig.log.append(30)
    a = rig.start({"search": rig.search(unix_socket=rig.home / "es.sock")})
    a.wait_log(r"warn lane audit/search: ")
    bulk.start()
    rig.wait_delivered()


# -- a proxy ------------------------------------------------------------------


def test_http_through_a_proxy(rig):
    with Proxy() as proxy:
        rig.log.append(30)
        rig.start({"search": rig.search(proxy=proxy.url)})
        rig.wait_delivered()
        assert proxy.forwards and all(
            f.startswith(rig.bulk.url + "/") for f in proxy.forwards)
        rig.finish()


def test_https_through_a_proxy_that_sees_no_secret(rig):
    ca = Authority(rig.home)
    rig.new_bulk(tls=ca.server(), bearer="not-for-the-proxy")
    with Proxy() as proxy:
        rig.log.append(30)
        rig.start({"search": rig.search(
            proxy=proxy.url, bearer_token="not-for-the-proxy",
            tls={"ca_file": ca.ca.cert})})
        rig.wait_delivered()
        assert set(proxy.connects) == {f"127.0.0.1:{rig.bulk.port}"}
        assert proxy.forwards == []
        assert all(b"not-for-the-proxy" not in head for head in proxy.heads)
        rig.finish()


@pytest.mark.parametrize("secure", [False, True])
def test_a_proxy_that_wants_credentials(rig, secure):
    """Wrong at first, and put right while it runs; never in the log."""
    ca = Authority(rig.home)
    rig.new_bulk(tls=ca.server() if secure else None)
    password = rig.home / "proxy_password"
    password.write_text("wrong-proxy-password\n")
    with Proxy(basic=("tallyman", "right-proxy-password")) as proxy:
        rig.log.append(30)
        a = rig.start({"search": rig.search(
            proxy=proxy.url, proxy_username="tallyman",
            proxy_password="${file:%s}" % password, tls={"ca_file": ca.ca.cert})})
        a.wait_log(r"warn lane audit/search: .*407.*proxy_password")
        assert rig.bulk.request_count() == 0
        password.write_text("right-proxy-password\n")
        rig.wait_delivered()
        assert b"-proxy-password" not in a.all_output()
        rig.finish()


def test_the_environments_proxy_is_used_unless_none_is_wanted(rig):
    with Proxy() as proxy:
        env = {"http_proxy": proxy.url, "no_proxy": ""}
        rig.log.append(10)
        a = rig.start({"search": rig.search()}, env=env)
        rig.wait_delivered()
        assert proxy.forwards
        a.stop()
        seen = len(proxy.forwards)
        rig.log.append(10)
        b = rig.start({"search": rig.search(proxy="none")}, env=env)
        rig.wait_delivered()
        b.stop()
        assert len(proxy.forwards) == seen


def test_a_proxy_that_is_down_is_said_to_be(rig):
    with Proxy() as proxy:
        url = proxy.url
    rig.log.append(10)
    a = rig.start({"search": rig.search(proxy=url)}, drain_timeout="100ms")
    a.wait_log(r"warn lane audit/search: .*[Cc]onnect")
    assert rig.bulk.request_count() == 0


# -- nodes that are found -----------------------------------------------------


def node(bulk, *roles: str, name: str = "") -> dict:
    address = f"{bulk.host}:{bulk.port}"
    return {"roles": list(roles), "http": {
        "publish_address": f"{name}/{address}" if name else address}}


def test_data_and_ingest_nodes_are_found_and_used(rig):
    entry, master, hot, ingest = (rig.new_bulk() for _ in range(4))
    entry.nodes = {"m": node(master, "master"), "h": node(hot, "data_hot", "master"),
                   "i": node(ingest, "ingest")}
    rig.log.append(5)
    a = rig.agent({"search": rig.search(hosts=[entry.url], discover="true",
                                        batch_events=5)})
    a.start()
    a.wait_log("the cluster has 2 data and ingest nodes, 2 new")
    before = entry.stored_count()
    rig.log.append(60)
    all_in(rig, entry, hot, ingest)
    assert hot.stored_count() > 0 and ingest.stored_count() > 0
    assert entry.stored_count() <= before + 5 and master.request_count() == 0


def test_a_node_that_left_is_dropped_and_a_new_one_is_used(rig):
    entry, old, new = (rig.new_bulk() for _ in range(3))
    entry.nodes = {"o": node(old, "data")}
    old.nodes = entry.nodes
    a = rig.start({"search": rig.search(hosts=[entry.url], discover="true",
                                        discover_interval="1s")})
    a.wait_log("the cluster has 1 data and ingest nodes, 1 new")
    rig.log.append(10)
    all_in(rig, entry, old)
    old.nodes = new.nodes = entry.nodes = {"n": node(new, "data")}
    wait_until(lambda: a.log().count("1 data and ingest nodes, 1 new") == 2,
               "the new one is found", context=a.log)
    seen = old.request_count()
    rig.log.append(10)
    all_in(rig, entry, old, new)
    assert new.stored_count() == 10 and old.request_count() == seen


def test_where_no_node_answers_the_configured_host_is_used(rig):
    """Addresses of a network that this machine cannot reach: nothing stops."""
    entry, gone = rig.new_bulk(), rig.new_bulk()
    entry.nodes = {"g": node(gone, "data")}
    gone.stop()
    a = rig.start({"search": rig.search(hosts=[entry.url], discover="true")})
    a.wait_log("the cluster has 1 data and ingest nodes, 1 new")
    rig.log.append(30)
    all_in(rig, entry)


def test_a_cluster_that_does_not_say_is_asked_again(rig):
    entry, found = rig.new_bulk(), rig.new_bulk()
    a = rig.start({"search": rig.search(hosts=[entry.url], discover="true",
                                        discover_interval="1s")})
    a.wait_log("cannot ask for the cluster's nodes: .*404")
    rig.log.append(10)
    all_in(rig, entry)
    found.nodes = entry.nodes = {"f": node(found, "data")}     # it is asked next
    a.wait_log("1 new")
    rig.log.append(10)
    all_in(rig, entry, found)
    assert found.stored_count() == 10
    assert a.log().count("cannot ask for the cluster's nodes") == 1


def test_nodes_are_not_asked_for_unless_wanted(rig):
    rig.bulk.nodes = {}
    rig.start({"search": rig.search()})
    rig.log.append(10)
    rig.wait_delivered()
    assert not [r for r in rig.bulk.other_requests if "_nodes/http" in r]


# -- a name whose address changes ---------------------------------------------


def own_hosts_file(path) -> list[str]:
    """A wrapper that gives a process an /etc/hosts of its own."""
    wrapper = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        wrapper.insert(1, "--map-root-user")
    wrapper += ["sh", "-c", f"mount --bind {path} /etc/hosts && exec \"$@\"", "sh"]
    if shutil.which("unshare") is None or subprocess.run(
            [*wrapper, "true"], capture_output=True).returncode != 0:
        pytest.skip("skipped: no mount namespace of one's own here")
    return wrapper


def test_a_name_is_looked_up_again_after_a_failure(rig):
    """Long before what was looked up is a minute old."""
    names = rig.home / "hosts"
    names.write_text("127.0.0.2 es.test\n")
    old = rig.new_bulk(host="127.0.0.2", port=free_port("127.0.0.2"))
    new = rig.new_bulk(host="127.0.0.3", port=old.port)
    a = rig.agent({"search": rig.search(hosts=[f"http://es.test:{old.port}"])})
    a.wrapper = own_hosts_file(names)
    a.start()
    rig.log.append(10)
    all_in(rig, old)
    assert new.connections == 0
    old.stop()
    names.write_text("127.0.0.3 es.test\n")
    rig.log.append(10)
    wait_until(lambda: new.stored_count() == 10, "the new address is used",
               context=a.log)
    assert_once(new, rig.log.lines[10:])


def test_a_name_that_cannot_be_looked_up_is_said_to_be(rig):
    names = rig.home / "hosts"
    names.write_text("127.0.0.1 other.test\n")
    a = rig.agent({"search": rig.search(hosts=[f"http://es.test:{rig.bulk.port}"])})
    a.wrapper = own_hosts_file(names)
    rig.log.append(10)
    a.start()
    a.wait_log(r"warn lane audit/search: .*resolve.*name server")
    names.write_text("127.0.0.1 es.test\n")
    rig.wait_delivered()
