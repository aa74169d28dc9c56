# SPDX-License-Identifier: Apache-2.0
"""The bulk server tested on its own, by http.client; needs no agent."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import socket
import threading

import pytest

import faults
from auditlog import document_of, id_of, index_of, make_line
from bulk_server import BulkServer, claim_port, filter_path, gunzip, let_port_go
from wait import SCALE, wait_until

HEADERS = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def server():
    with BulkServer() as s:
        yield s


def body_of(lines: list[bytes]) -> bytes:
    out = b""
    for line in lines:
        meta = {"create": {"_index": index_of(line), "_id": id_of(line)}}
        out += json.dumps(meta, separators=(",", ":")).encode() + b"\n"
        out += document_of(line) + b"\n"
    return out


class Client:
    def __init__(self, server: BulkServer) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", server.port,
                                               timeout=10 * SCALE)

    def post(self, body: bytes, path: str = "/_bulk", **headers):
        self.http.request("POST", path, body, HEADERS | headers)
        r = self.http.getresponse()
        self.headers = r.headers
        return r.status, r.read()

    def bulk(self, *seqs: int, path: str = "/_bulk"):
        status, text = self.post(body_of([make_line(s) for s in seqs]), path)
        assert status == 200
        return [i["create"]["status"] for i in json.loads(text)["items"]]


def test_stores_once_and_answers_409_the_second_time(server):
    c = Client(server)
    assert c.bulk(1, 2) == [201, 201]
    assert c.bulk(2, 3) == [409, 201]
    doc = server.docs[index_of(make_line(2)), id_of(make_line(2))]
    assert (doc.stored, doc.offered, doc.answers) == (1, 2, [201, 409])
    assert doc.doc == document_of(make_line(2))
    assert [d.stored for d in server.stored()] == [1, 1, 1]
    assert server.connections == 1 and server.violations == []


def test_answers_as_the_flavour_does(server):
    c = Client(server)
    c.bulk(1)
    assert c.headers["Transfer-Encoding"] == "chunked"
    assert c.headers["X-elastic-product"] == "Elasticsearch"
    with BulkServer(flavour="opensearch") as other:
        c = Client(other)
        c.bulk(1)
        assert c.headers["Content-Type"] == "application/json; charset=UTF-8"
        assert c.headers["Content-Length"] and not c.headers["X-elastic-product"]


def test_takes_gzip_and_counts_its_size_inside(server):
    body = body_of([make_line(1, pad=5000)])
    assert Client(server).post(gzip.compress(body), **{"Content-Encoding": "gzip"})[
        0] == 200
    assert server.requests[0].body_bytes == len(body)
    server.max_body = 4000
    assert Client(server).post(
        gzip.compress(body), **{"Content-Encoding": "gzip"}) == (413, b"")
    assert server.violations == []


def test_gunzip_wants_a_whole_stream():
    z = gzip.compress(b"x" * 1000)
    assert gunzip(z, 2000) == b"x" * 1000
    assert gunzip(z[:-1], 2000) is None
    assert gunzip(z + b"\0", 2000) is None
    assert gunzip(b"plain", 2000) is None
    assert len(gunzip(z, 10)) > 10


@pytest.mark.parametrize("spoil, why", [
    (lambda b: b[:-1], "newline"),
    (lambda b: b.replace(b'"create"', b'"index"'), "not one create"),
    (lambda b: b.replace(b'"_id":"0', b'"_id":"Z'), "_id"),
    (lambda b: b.replace(b'"_index"', b'"_type":"_doc","_index"'), "just"),
    (lambda b: b.replace(b'{"@timestamp":', b'{"time":'), "@timestamp"),
    (lambda b: b[:-2] + b"\n", "not JSON"),
    (lambda b: b + b"{}\n", "pairs"),
])
def test_records_what_no_careful_client_sends(server, spoil, why):
    Client(server).post(spoil(body_of([make_line(1)])))
    assert len(server.violations) == 1 and why in server.violations[0]
    assert server.stored_count() == 0


def test_records_wrong_headers(server):
    body = body_of([make_line(1)])
    Client(server).post(body, **{"Content-Type": "application/json"})
    Client(server).post(body, **{"Content-Encoding": "gzip"})
    Client(server).post(body, Expect="100-continue")
    assert len(server.violations) == 3


def test_duplicate_keys_are_refused_but_no_violation(server):
    line = make_line(1).replace(b'"verb":', b'"verb":"x","verb":')
    status, text = Client(server).post(body_of([line]))
    assert json.loads(text)["items"][0]["create"]["status"] == 400
    assert server.violations == []


@pytest.mark.parametrize("name", sorted(faults.PASSING))
def test_carries_out_every_whole_fault_once(server, name):
    fault = faults.PASSING[name]
    server.plan(fault)
    try:
        status, text = Client(server).post(body_of([make_line(1), make_line(2)]))
    except (http.client.HTTPException, ConnectionError):
        status, text = 0, b""
    stores = {"short", "long", "garbage", "truncated", "cut", "broken_off", "lost",
              "lost_reset"}
    wait_until(lambda: server.open_now == 0, "the request is over")
    assert server.stored_count() == (2 if fault.kind in stores else 0)
    if fault.kind == "status":
        assert status == fault.status
    elif fault.kind == "liar":
        assert status == 500 and len(json.loads(text)["items"]) >= 2
    elif fault.kind == "short":
        assert len(json.loads(text).get("items", [])) == fault.keep
    elif fault.kind == "long":
        assert len(json.loads(text)["items"]) > 2
    elif fault.kind in ("garbage", "truncated", "html"):
        with pytest.raises(ValueError):
            json.loads(text)
    else:
        assert status == 0
    assert Client(server).bulk(1, 2) == (
        [409, 409] if fault.kind in stores else [201, 201])
    assert server.violations == []


@pytest.mark.parametrize("fault", [*faults.RETRIED.values(), *faults.REFUSED.values()])
def test_carries_out_item_faults(server, fault):
    server.item_fault = lambda o: fault if o.position == 1 else None
    assert Client(server).bulk(1, 2, 3) == [201, fault.status, 201]
    assert server.stored_count() == 2
    server.heal()
    assert Client(server).bulk(2) == [201]


def test_poison_refuses_the_whole_request(server):
    server.poison = lambda o: b"e2e-00000002" in o.doc
    assert Client(server).post(body_of([make_line(1), make_line(2)]))[0] == 400
    assert server.stored_count() == 0
    assert Client(server).bulk(1) == [201]


def test_holds_until_released(server):
    server.plan(faults.HANG, faults.HANG_AFTER)
    got = []
    threads = [
        threading.Thread(target=lambda s=s: got.append(Client(server).bulk(s)))
        for s in (1, 2)
    ]
    for t in threads:
        t.start()
    wait_until(lambda: server.stored_count() == 1 and server.open_now == 2, "both held")
    assert got == []
    server.release()
    for t in threads:
        t.join()
    assert got == [[201], [201]] and server.stored_count() == 2
    assert server.most_open == 2


def test_slow_answer_comes_whole(server):
    server.plan(faults.Whole("slow", seconds=0.05))
    assert Client(server).bulk(1) == [201]


def test_auth_basic_and_api_key(server):
    server.basic = ("me", "pw")
    c = Client(server)
    assert c.post(body_of([make_line(1)]))[0] == 401
    good = "Basic " + base64.b64encode(b"me:pw").decode()
    assert c.post(body_of([make_line(1)]), Authorization=good)[0] == 200
    server.basic, server.api_key = None, "a2V5"
    assert c.post(body_of([make_line(1)]), Authorization=good)[0] == 401
    assert c.post(body_of([make_line(1)]), Authorization="ApiKey a2V5")[0] == 200
    assert server.auth_failures == 2


def test_get_root_says_who_it_is(server):
    c = Client(server)
    c.http.request("GET", "/")
    assert "version" in json.loads(c.http.getresponse().read())
    assert server.other_requests == ["GET /"]


def test_stops_and_starts_on_the_same_port(server):
    c = Client(server)
    assert c.bulk(1) == [201]
    port = server.port
    server.stop()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        c.bulk(2)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    server.start()
    assert server.port == port and Client(server).bulk(1, 2) == [409, 201]


def test_a_port_is_kept_while_its_server_is_down():
    """Another process's server would answer the clients of this one."""
    with BulkServer() as server:
        assert not claim_port(server.port)
        server.stop()
        assert not claim_port(server.port)
    assert claim_port(server.port)
    let_port_go(server.port)


def test_stop_lets_go_of_held_requests(server):
    server.plan(faults.HANG)
    failed = []

    def post():
        try:
            Client(server).bulk(1)
        except (ConnectionError, http.client.HTTPException) as e:
            failed.append(e)

    t = threading.Thread(target=post)
    t.start()
    wait_until(lambda: server.open_now == 1, "held")
    server.stop()
    t.join(10)
    assert failed and server.stored_count() == 0


def test_filter_path_as_elasticsearch_does():
    answer = {"took": 1, "errors": True, "items": [
        {"create": {"_id": "a", "status": 201}},
        {"create": {"_id": "b", "status": 400, "error": {"type": "t", "reason": "r"}}}]}

    def run(path):
        return filter_path(answer, [p.split(".") for p in path.split(",")])

    assert run("errors") == {"errors": True}
    assert run("errors,items.*.status") == {
        "errors": True,
        "items": [{"create": {"status": 201}}, {"create": {"status": 400}}]}
    # An item of which nothing is left disappears, as in the real servers.
    assert run("items.*.error.type") == {
        "items": [{"create": {"error": {"type": "t"}}}]}
    assert run("items.create.status,items.*.error")["items"][1]["create"] == {
        "status": 400, "error": {"type": "t", "reason": "r"}}
    assert run("**.reason") == {"items": [{"create": {"error": {"reason": "r"}}}]}


def test_chaos_is_the_same_for_the_same_seed():
    def draw(seed):
        c = faults.Chaos(seed, p_whole=0.5, p_item=0.5)
        return [(c.next_whole(), c.next_items(5)) for _ in range(50)]

    assert draw(3) == draw(3) != draw(4)


def test_lines_are_deterministic_and_distinct():
    lines = [make_line(n) for n in range(2000)]
    assert lines == [make_line(n) for n in range(2000)]
    assert len({id_of(line) for line in lines}) == 2000
    for line in lines:
        json.loads(line)
        assert b"\n" not in line


# -- questions ---------------------------------------------------------------


def ask(c: Client, path: str, value: dict | None = None):
    body = b"" if value is None else json.dumps(value).encode()
    status, text = c.post(body, path, **{"Content-Type": "application/json"})
    return status, json.loads(text)


def place_of(seq: int) -> dict:
    line = make_line(seq)
    return {"_index": index_of(line), "_id": id_of(line)}


def test_mget_finds_at_once_what_is_there_and_tells_what_has_no_index(server):
    c = Client(server)
    c.bulk(1)
    nowhere = place_of(1) | {"_index": "nowhere"}
    status, value = ask(c, "/_mget?filter_path=docs.found,docs.error.type",
                        {"docs": [place_of(1), place_of(2), nowhere]})
    assert (status, value) == (200, {"docs": [
        {"found": True}, {"found": False},
        {"error": {"type": "index_not_found_exception"}}]})
    assert server.questions("_mget") == [
        "POST /_mget?filter_path=docs.found,docs.error.type"]


def test_a_search_and_a_count_see_what_was_refreshed(server):
    c = Client(server)
    c.bulk(1, 2)
    name = index_of(make_line(1))
    ids = {"query": {"ids": {"values": [place_of(1)["_id"], "x"]}}}
    assert ask(c, f"/{name}/_search", ids)[1]["hits"]["hits"] == []
    ask(c, f"/{name}/_refresh")
    assert [h["_id"] for h in ask(c, f"/{name}/_search", ids)[1]["hits"]["hits"]] \
        == [place_of(1)["_id"]]
    stamp = json.loads(document_of(make_line(1)))["@timestamp"]
    within = {"query": {"bool": {"filter": [
        {"range": {"@timestamp": {"gte": stamp, "lte": stamp}}}]}}}
    assert ask(c, f"/{name[:3]}*/_count", within)[1]["count"] == 1
    assert ask(c, "/other/_count", within)[0] == 404
    server.forget(server.docs[name, place_of(1)["_id"]])
    assert ask(c, f"/{name}/_count", within)[1]["count"] == 1
    ask(c, f"/{name}/_refresh")
    assert ask(c, f"/{name}/_count", within)[1]["count"] == 0
    assert server.violations == []


def test_a_question_can_fail(server):
    c = Client(server)
    server.question_fault = lambda path: faults.Whole("status", 503) \
        if path.endswith("_mget") else None
    assert ask(c, "/_mget", {"docs": [place_of(1)]})[0] == 503
    server.heal()
    assert ask(c, "/_mget", {"docs": [place_of(1)]})[0] == 200


def test_an_answer_may_wait_until_so_many_requests_are_there(server):
    server.plan(*[faults.Whole("abreast", keep=3)] * 3)
    others = [threading.Thread(target=Client(server).bulk, args=(n,)) for n in (1, 2)]
    for t in others:
        t.start()
    wait_until(lambda: server.stored_count() == 2, "both are stored")
    assert all(t.is_alive() for t in others)
    Client(server).bulk(3)
    for t in others:
        t.join(10)
    assert sorted(r.abreast for r in server.requests) == [1, 2, 3]


def test_what_a_client_sent_that_is_gone_is_waited_for(server):
    server.plan(faults.HANG)
    body = body_of([make_line(1)])
    head = (f"POST /_bulk HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
            f"Content-Length: {len(body)}\r\n\r\n")
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.sendall(head.encode() + body)
    assert server.stored_count() == 0
    threading.Timer(0.05, server.release).start()
    server.wait_alone()
    assert server.stored_count() == 1
