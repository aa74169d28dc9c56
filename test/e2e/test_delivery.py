# SPDX-License-Identifier: Apache-2.0
"""Every event once, to every output, as the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import time
from datetime import datetime, timedelta, timezone

import pytest

import faults
from agent import CONFIG, run_program
from auditlog import sequences
from checks import assert_file_is, assert_once, file_has, has_all
from wait import wait_until


def test_every_event_reaches_all_three_outputs_once(rig):
    out = rig.home / "stdout"
    a = rig.agent({"search": rig.search(), "archive": rig.file(),
                   "console": rig.console()})
    rig.log.append(300)
    with out.open("wb") as a.stdout:
        a.start()
    rig.log.append(300)
    rig.wait_delivered()
    rig.wait_archived()
    wait_until(file_has(out, rig.log.text()), "stdout has every line", context=a.log)
    assert_file_is(out, rig.log.text())
    lanes = rig.wait_settled(a, read=600)
    assert set(lanes) == {"audit/search", "audit/archive", "audit/console"}
    for c in lanes.values():
        assert c["delivered"] == 600 and c["dead"] == 0 and c["duplicate"] == 0
        assert c["read_bytes"] == len(rig.log.text())


def test_live_lines_do_not_wait_for_the_slow_timer(rig):
    a = rig.start(trail={"poll": "60s"})
    for _ in range(20):
        rig.log.append()
        rig.wait_delivered()
        rig.wait_archived()
    assert a.is_running()


def test_id_time_and_index_come_from_the_event_alone(rig):
    """Two agents that know nothing of each other make the same documents."""
    rig.log.append(200)
    rig.start()
    rig.wait_delivered()
    second = rig.agent({"search": rig.search(linger="0ms", batch_events=17)},
                       state_dir=rig.home / "state2").start()
    rig.wait_settled(second, read=200)
    assert second.stop()["audit/search"]["duplicate"] == 200
    assert_once(rig.bulk, rig.log.lines)


def test_the_index_follows_the_events_day(rig):
    midnight = datetime(2026, 11, 24, tzinfo=timezone.utc)
    for us in (-2_000_000, -1, 0, 1, 86_400_000_000):
        rig.log.append(at=midnight + timedelta(microseconds=us))
    rig.start({"search": rig.search()})
    rig.wait_delivered()
    assert sorted({d.index for d in rig.bulk.stored()}) == [
        "auditing-2026.11.23", "auditing-2026.11.24", "auditing-2026.11.25"]


def test_index_pattern_can_be_chosen(rig):
    rig.log.append(20)
    rig.start({"search": rig.search(index="k8s-%Y-%m-%d")})
    wait_until(has_all(rig.bulk, rig.log.lines), "all there")
    assert_once(rig.bulk, rig.log.lines, index="k8s-%Y-%m-%d")


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_compression(rig, compression):
    rig.log.append(200)
    rig.start({"search": rig.search(compression=compression)})
    rig.wait_delivered()
    assert {r.gzip for r in rig.bulk.requests} == {compression == "gzip"}


def test_a_file_that_ends_in_half_a_line_gets_a_newline_first(rig):
    rig.archive.write_bytes(b'{"half":')
    rig.log.append(5)
    a = rig.start({"archive": rig.file()})
    text = b'{"half":\n' + rig.log.text()
    rig.wait_archived(text=text)
    assert "archive.log ended in the middle of a line" in a.log()
    a.stop()
    a.start()                           # its end is our own now
    more = rig.log.append(5)
    rig.wait_archived(text=text + b"".join(line + b"\n" for line in more))


def test_linger_gathers_events_into_few_requests(rig):
    """One in a second, and one when the first event comes."""
    rig.start({"search": rig.search(linger="1s")})
    begin = time.monotonic()
    rig.log.append(100)
    rig.wait_delivered()
    assert rig.bulk.request_count() <= 2 + (time.monotonic() - begin)


def test_linger_zero_sends_at_once(rig):
    rig.start({"search": rig.search(linger="0ms"), "archive": rig.file(linger="0ms")})
    for _ in range(10):
        rig.log.append()
        rig.wait_delivered()
    rig.wait_archived()


def test_an_event_after_a_flow_of_them_is_heard_of(rig):
    """While events flow the log is looked at by the linger timer, not by inotify."""
    rig.start({"search": rig.search(), "archive": rig.file()}, trail={"poll": "60s"})
    for n in range(1, 7):
        rig.log.append(n)
        rig.wait_delivered()
        rig.log.append()
        rig.wait_delivered()
        rig.wait_archived()


def test_a_request_holds_at_most_batch_events(rig):
    rig.log.append(100)
    rig.start({"search": rig.search(batch_events=7)})
    rig.wait_delivered()
    assert max(r.items for r in rig.bulk.requests) == 7


def test_a_request_holds_at_most_batch_bytes(rig):
    rig.log.append(100)
    big = rig.log.append(pad=20000)
    rig.log.append(100)
    rig.start({"search": rig.search(batch_bytes="8KiB")})
    rig.wait_delivered()
    for r in rig.bulk.requests:
        assert r.body_bytes <= 8192 or r.items == 1
    assert max(r.body_bytes for r in rig.bulk.requests) > len(big[0])


def test_at_most_in_flight_requests_are_open(rig):
    rig.bulk.plan(*[faults.HANG] * 20)
    rig.log.append(200)
    a = rig.start({"search": rig.search(batch_events=10, in_flight=3)})
    wait_until(lambda: rig.bulk.open_now == 3, "three requests are held")
    assert a.counters()["audit/search"]["delivered"] == 0
    rig.bulk.release()
    rig.wait_delivered()
    assert rig.bulk.most_open == 3


def test_reading_stops_where_there_is_no_room(rig):
    rig.bulk.plan(*[faults.HANG] * 50)
    rig.log.append_at_once(1000)
    a = rig.start({"search": rig.search(batch_bytes="8KiB", memory="64KiB"),
                   "archive": rig.file()})
    rig.wait_archived()                     # by now it has had the time
    wait_until(lambda: rig.bulk.open_now > 0, "a request is held")
    c = a.counters()["audit/search"]
    assert 0 < c["read"] * 1024 < 200 * 1024 < len(rig.log.text())
    rig.bulk.release()
    rig.wait_delivered()


def test_one_event_may_be_larger_than_memory(rig):
    rig.log.append(5)
    rig.log.append(pad=300_000)
    rig.log.append(5)
    rig.start({"search": rig.search(batch_bytes="8KiB", memory="64KiB"),
               "archive": rig.file(batch_bytes="8KiB", memory="64KiB")})
    rig.wait_delivered()
    rig.wait_archived()


def test_start_end_takes_only_what_comes_later(rig):
    rig.log.append(50)
    rig.log.rotate()
    rig.log.append(50)
    old = len(rig.log.lines)
    a = rig.start(trail={"start": "end"})
    rig.log.append(30)
    new = rig.log.lines[old:]
    text = b"".join(line + b"\n" for line in new)
    rig.wait_archived(text=text)
    rig.wait_delivered(lines=new)
    a.stop()
    # With a checkpoint `start` says nothing any more.
    rig.log.append(30)
    a.start()
    new = rig.log.lines[old:]
    rig.wait_archived(text=b"".join(line + b"\n" for line in new))
    rig.wait_delivered(lines=new)


def test_start_end_before_anything_came_still_misses_nothing_when_down(rig):
    rig.log.append(50)
    a = rig.start(trail={"start": "end"})
    a.stop()
    new = rig.log.append(20)
    a.start()
    rig.wait_delivered(lines=new)


def test_a_partial_last_line_waits_for_its_end(rig):
    rig.log.append(5)
    a = rig.start()
    rig.wait_delivered()
    rig.log.begin_line()
    assert a.counters()["audit/search"]["read"] == 5
    a.stop()
    assert rig.bulk.stored_count() == 5
    a.start()
    rig.log.finish_line()
    rig.log.append(3)
    rig.wait_delivered()
    rig.wait_archived()
    assert a.dead("search") == [] and a.dead("archive") == []


def test_a_line_written_byte_by_byte_is_one_event(rig):
    a = rig.start()
    line = rig.log.make()
    for i in range(0, len(line), 7):
        rig.log.write(line[i:i + 7])
    rig.log.write(b"\n")
    rig.log.lines.append(line)
    rig.wait_delivered()
    rig.wait_archived()
    assert a.counters()["audit/search"]["read"] == 1


def test_a_line_without_newline_at_the_end_is_not_read_at_start(rig):
    rig.log.append(3)
    rig.log.begin_line(upto=10_000)         # all of it but the newline
    a = rig.start()
    rig.wait_delivered()
    rig.wait_archived()
    assert a.counters()["audit/archive"]["read"] == 3
    rig.log.finish_line()
    rig.wait_delivered()
    rig.wait_archived()


def test_restart_repeats_nothing_and_misses_nothing(rig):
    a = rig.agent()
    for _ in range(5):
        rig.log.append(40)
        a.start()
        rig.log.append(40)
        rig.wait_delivered()
        rig.wait_archived()
        a.stop()
    assert all(d.offered == 1 for d in rig.bulk.stored())


def test_connections_are_kept(rig):
    rig.start({"search": rig.search(batch_events=1)})
    rig.log.append(200)
    rig.wait_delivered()
    assert rig.bulk.request_count() == 200
    assert rig.bulk.connections <= 8


def test_parser_json_takes_any_object(rig):
    rows = [
        b'{"e2e":"e2e-00000000","timestamp":"2026-11-23T17:00:00Z","a":[1,2.50E+1]}',
        b'{"e2e":"e2e-00000001"}',
        b'{"@timestamp":"2026-01-02T03:04:05.678Z","e2e":"e2e-00000002","":"\xc3\xa9"}',
        b'{  "e2e" : "e2e-00000003" , "nested":{"level":"x"} }',
    ]
    rig.log_path.write_bytes(b"".join(r + b"\n" for r in rows))
    a = rig.start(trail={"parser": "json"})
    wait_until(lambda: rig.bulk.stored_count() == 4, "four documents", context=a.log)
    text = b"".join(r + b"\n" for r in rows)
    wait_until(file_has(rig.archive, text), "the file has four lines")
    assert_file_is(rig.archive, text)
    docs = {json.loads(d.doc)["e2e"]: d for d in rig.bulk.stored()}
    kept = docs["e2e-00000002"]
    assert kept.doc == rows[2] and kept.index == "auditing-2026.01.02"
    for name, d in docs.items():
        doc = json.loads(d.doc)
        stamp = doc["@timestamp"]
        if name != "e2e-00000002":
            del doc["@timestamp"]
            assert doc == json.loads(rows[int(name[4:])])
        t = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
        assert int(d.id[:12], 16) == int(t.timestamp() * 1000 + 1e-6)
        assert d.index == t.strftime("auditing-%Y.%m.%d")


def test_two_trails_and_an_output_that_wants_one(rig):
    other = rig.new_log(rig.log_path)
    second = rig.new_log(rig.log_dir / "second.log", seed=2)
    second.next_seq = 10_000
    other.append(50)
    second.append(50)
    a = rig.start(
        {"search": rig.search(), "archive": rig.file(trails=["second"])},
        trails={"first": {"path": other.path}, "second": {"path": second.path}})
    rig.wait_delivered(lines=other.lines + second.lines)
    rig.wait_archived(text=second.text())
    assert set(a.counters()) == {"first/search", "second/search", "second/archive"}


def test_two_trails_into_one_file_lose_nothing(rig):
    """Either that is refused at once, or no lane cuts off what another wrote."""
    one = rig.new_log(rig.log_path)
    two = rig.new_log(rig.log_dir / "second.log", seed=2)
    two.next_seq = 10_000
    a = rig.agent({"archive": rig.file()},
                  trails={"one": {"path": one.path}, "two": {"path": two.path}})
    if run_program("check", a.config).returncode == CONFIG:
        return
    for _ in range(3):
        one.append(50)
        two.append(50)
        a.start()
        want = len(one.text()) + len(two.text())
        wait_until(lambda: rig.archive.exists() and rig.archive.stat().st_size >= want,
                   "both", context=a.log)
        a.kill()
    a.start()
    rig.wait_caught_up(a)
    a.stop()
    got = sequences(rig.archive.read_bytes().splitlines())
    assert sorted(got) == sorted(sequences(one.lines + two.lines))


def test_two_equal_lines_are_one_document_and_two_lines(rig):
    [line] = rig.log.append(1)
    rig.log.write(line + b"\n")
    rig.log.append(1)
    a = rig.start()
    c = rig.wait_settled(a, read=3)["audit/search"]
    assert (c["delivered"], c["duplicate"]) == (2, 1)
    rig.wait_delivered()
    rig.wait_archived(text=b"\n".join([line, line, rig.log.lines[1], b""]))


@pytest.mark.parametrize("flavour, with_type", [("opensearch", False),
                                                ("opensearch", True),
                                                ("elasticsearch", True)])
def test_flavours_of_servers(rig, flavour, with_type):
    bulk = rig.new_bulk(flavour=flavour)
    bulk.with_type = with_type
    bulk.item_fault = lambda o: faults.QUEUE_FULL if o.before == 0 else None
    rig.log.append(50)
    rig.start()
    rig.wait_delivered()


def test_basic_auth(rig):
    rig.new_bulk(basic=("tallyman", 'p w: "ä'))
    rig.log.append(20)
    rig.start({"search": rig.search(username="tallyman", password="'p w: \"ä'")})
    rig.wait_delivered()
    assert rig.bulk.auth_failures == 0


def test_api_key(rig):
    rig.new_bulk(api_key="VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHA=")
    rig.log.append(20)
    rig.start({"search": rig.search(api_key="VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHA=")})
    rig.wait_delivered()
    assert rig.bulk.auth_failures == 0


def test_a_host_that_is_down_is_passed_over(rig):
    down = rig.new_bulk()
    up = rig.new_bulk()
    down.stop()
    rig.log.append(50)
    a = rig.start({"search": rig.search(hosts=[down.url, up.url], batch_events=5)})
    rig.log.append(50)
    rig.wait_delivered(bulk=up)
    assert a.is_running()


def test_several_hosts_share_the_work_and_the_books(rig):
    one, two = rig.new_bulk(), rig.new_bulk()
    rig.log.append(200)
    a = rig.start({"search": rig.search(hosts=[one.url, two.url], batch_events=5)})
    rig.wait_settled(a, read=200)
    stored = [d.doc for b in (one, two) for d in b.stored()]
    assert sorted(sequences(stored)) == list(range(200))


def test_file_output_rotates_by_size_without_a_torn_line(rig):
    a = rig.agent({"archive": rig.file(max_size="64KiB", batch_bytes="16KiB")})
    a.start()

    def parts():
        live = [rig.archive] if rig.archive.exists() else []
        return sorted(rig.home.glob("archive-*.log")) + live

    def size() -> int:
        with contextlib.suppress(FileNotFoundError):        # renamed since it was seen
            return sum(p.stat().st_size for p in parts())
        return 0

    for _ in range(3):
        rig.log.append(150)
        wait_until(lambda: size() >= len(rig.log.text()), "the archive has every line",
                   context=a.log)
        a.stop()
        a.start()
    assert len(parts()) >= 3
    texts = [p.read_bytes() for p in parts()]
    assert b"".join(texts) == rig.log.text()
    assert all(t.endswith(b"\n") for t in texts)


def test_files_it_makes_are_private(rig):
    rig.log.append(5)
    a = rig.start()
    rig.wait_archived()
    a.stop()
    assert rig.archive.stat().st_mode & 0o777 == 0o600
    for p in rig.state.rglob("*"):
        if p.is_file():
            assert p.stat().st_mode & 0o077 == 0, p


@pytest.fixture
def certificate(rig):
    if shutil.which("openssl") is None:
        pytest.skip("skipped: openssl is not installed")
    cert, key = rig.home / "cert.pem", rig.home / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_tls_with_the_right_ca(rig, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    rig.new_bulk(tls=context)
    rig.log.append(50)
    rig.start({"search": rig.search(tls={"ca_file": certificate[0]})})
    rig.wait_delivered()


def test_tls_with_an_unknown_ca_waits_and_says_so(rig, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    rig.new_bulk(tls=context)
    rig.log.append(50)
    a = rig.start()
    a.wait_log(r"(?i)(warn|error) lane audit/search: .*certificate")
    rig.wait_archived()
    assert a.counters()["audit/search"]["delivered"] == 0
    assert rig.bulk.request_count() == 0
    a.stop()
    fixed = rig.agent({"search": rig.search(tls={"ca_file": certificate[0]})})
    fixed.start()
    rig.wait_delivered()


def test_the_environment_and_files_fill_in_values(rig):
    rig.new_bulk(basic=("tallyman", "from a file"))
    secret = rig.home / "password"
    secret.write_text("from a file\n")
    rig.log.append(10)
    rig.start({"search": rig.search(username="${E2E_USER}",
                                    password="${file:%s}" % secret)},
              env={"E2E_USER": "tallyman"})
    rig.wait_delivered()


def test_the_log_of_another_owner_is_only_read(rig):
    rig.log.append(20)
    before = rig.log_path.stat()
    listing = sorted(os.listdir(rig.log_dir))
    rig.start()
    rig.wait_delivered()
    after = rig.log_path.stat()
    assert (before.st_mtime_ns, before.st_size, before.st_ino) == (
        after.st_mtime_ns, after.st_size, after.st_ino)
    assert sorted(os.listdir(rig.log_dir)) == listing
