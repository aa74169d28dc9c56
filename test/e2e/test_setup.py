# SPDX-License-Identifier: Apache-2.0
"""`tallyman setup`: what a cluster needs, made once, and nobody's work undone."""

from __future__ import annotations

import json

import pytest

from admin_api import Admin
from agent import CONFIG, FAILED, STOPPED, USAGE, run_program

PRODUCTS = ("elasticsearch", "opensearch")
POLICY = {"elasticsearch": "/_ilm/policy/tallyman-auditing",
          "opensearch": "/_plugins/_ism/policies/tallyman-auditing"}
COMPONENTS = ["/_component_template/tallyman-event",
              "/_component_template/tallyman-settings"]
TEMPLATE = "/_index_template/tallyman-auditing"
OBJECTS = 34 + 7 + 1        # panels, dashboards, the index pattern


@pytest.fixture(params=PRODUCTS)
def cluster(rig, request):
    bulk = rig.new_bulk(flavour=request.param)
    bulk.admin = Admin(request.param)
    return bulk


@pytest.fixture
def elastic(rig):
    bulk = rig.new_bulk()
    bulk.admin = Admin("elasticsearch")
    return bulk


def prepare(bulk, *args: object, code: int = STOPPED) -> dict[str, str]:
    """The outcome of each step by its kind; what is said stands in `text`."""
    where = () if "-c" in args else ("--hosts", bulk.url)
    bulk.admin.changes.clear()
    done = run_program("setup", *where, *args)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    head, *lines, last = done.stdout.splitlines()
    title = {"elasticsearch": "Elasticsearch", "opensearch": "OpenSearch"}
    assert head.startswith(title[bulk.flavour])
    steps = {}
    for line in lines:
        kind, name, outcome = (part.strip() for part in line.split("  ", 2)
                               ) if "  " in line else (line, "", "")
        name, _, outcome = (name + "  " + outcome).strip().partition("  ")
        steps[name if kind == "component template" else kind] = outcome.strip()
    return steps | {"last": last, "text": done.stdout}


def outcomes(steps: dict[str, str]) -> list[str]:
    """Of the five that there always are, without the reasons."""
    return [steps[kind].partition(":")[0] for kind in (
        "tallyman-event", "tallyman-settings", "lifecycle policy", "index template",
        "dashboards")]


def policy(bulk, name: str = "tallyman-auditing") -> dict:
    store = bulk.admin.store["ilm" if bulk.flavour == "elasticsearch" else "ism"]
    return store[name] if bulk.flavour == "elasticsearch" else store[name]["policy"]


def delete_age(bulk, **kw) -> str:
    p = policy(bulk, **kw)
    if bulk.flavour == "elasticsearch":
        return p["phases"]["delete"]["min_age"]
    return p["states"][0]["transitions"][0]["conditions"]["min_index_age"]


# -- again and again ----------------------------------------------------------------


def test_a_dry_run_says_what_it_would_do_and_does_not(cluster):
    steps = prepare(cluster, "--dry-run")
    assert outcomes(steps) == ["would create"] * 4 + ["skipped"]
    assert steps["last"] == "dry run: nothing was changed"
    assert cluster.admin.changes == []
    assert not any(r.startswith("PUT") for r in cluster.other_requests)


def test_all_is_made_once_and_in_order(cluster):
    steps = prepare(cluster)
    assert outcomes(steps) == ["created"] * 4 + ["skipped"]
    assert steps["last"] == "done"
    assert cluster.admin.changes == [*COMPONENTS, POLICY[cluster.flavour], TEMPLATE]


def test_again_there_is_nothing_to_do(cluster):
    prepare(cluster)
    for more in ((), ("--dry-run",), ("--force",)):
        steps = prepare(cluster, *more)
        assert outcomes(steps) == ["unchanged"] * 4 + ["skipped"]
        assert steps["last"] == "nothing to do"
        assert cluster.admin.changes == []


def test_what_is_missing_alone_is_made(cluster):
    prepare(cluster)
    del cluster.admin.store["index"]["tallyman-auditing"]
    steps = prepare(cluster)
    assert steps["index template"] == "created"
    assert cluster.admin.changes == [TEMPLATE]


def test_a_server_that_adds_what_nobody_foresaw_is_told_apart(cluster):
    def oddity(kind: str, value: dict) -> None:
        value["surprise"] = {"of": kind}

    cluster.admin.oddity = oddity
    prepare(cluster)
    assert cluster.admin.changes.count(TEMPLATE) == 2    # it notes the form it saw
    steps = prepare(cluster)
    assert steps["last"] == "nothing to do" and cluster.admin.changes == []
    cluster.admin.oddity = lambda kind, value: None
    assert prepare(cluster, code=STOPPED)["last"] == "nothing to do"


# -- retention ----------------------------------------------------------------------


def test_an_event_is_kept_for_twelve_months_or_as_asked(cluster):
    prepare(cluster)
    assert delete_age(cluster) == "366d"        # of an index of one day
    steps = prepare(cluster, "--retention", "90d")
    assert steps["lifecycle policy"] == "updated"
    assert delete_age(cluster) == "91d"
    assert cluster.admin.changes == [POLICY[cluster.flavour]]


def test_a_retention_that_was_set_stays_until_another_is(cluster):
    prepare(cluster, "--retention", "30d")
    assert prepare(cluster)["last"] == "nothing to do"
    assert prepare(cluster, "--dry-run", "--retention=31d")["lifecycle policy"] == (
        "would update")
    assert delete_age(cluster) == "31d"


@pytest.mark.parametrize("text, said", [
    ("soon", "is not a duration"), ("0", "is out of bounds: 1d to 36500d"),
    ("23h", "is out of bounds: 1d to 36500d")])
def test_a_retention_that_is_none_is_refused(elastic, text, said):
    done = run_program("setup", "--hosts", elastic.url, "--retention", text)
    assert done.returncode == USAGE
    assert f"--retention: '{text}' {said}" in done.stderr
    assert elastic.other_requests == []


# -- what somebody changed ----------------------------------------------------------


def change_component(bulk) -> None:
    mapping = bulk.admin.store["component"]["tallyman-event"]["template"]["mappings"]
    mapping["properties"]["mine"] = {"type": "keyword"}


def change_policy(bulk) -> None:
    p = policy(bulk)
    if bulk.flavour == "elasticsearch":
        p["phases"]["delete"]["min_age"] = "3650d"
    else:
        p["states"][0]["transitions"][0]["conditions"]["min_index_age"] = "3650d"


def change_template(bulk) -> None:
    bulk.admin.store["index"]["tallyman-auditing"]["priority"] = 999


@pytest.mark.parametrize("which, change", [
    ("tallyman-event", change_component), ("lifecycle policy", change_policy),
    ("index template", change_template)])
def test_what_somebody_changed_stays(cluster, which, change):
    prepare(cluster)
    change(cluster)
    for more in ((), ("--dry-run",)):
        steps = prepare(cluster, *more, code=FAILED)
        assert steps[which].startswith("refused: somebody changed it")
        assert outcomes(steps).count("unchanged") == 3
        assert steps["last"] == "1 not done" and cluster.admin.changes == []
    assert prepare(cluster, "--force", "--dry-run")[which] == "would update: by --force"
    assert prepare(cluster, "--force")[which] == "updated: by --force"
    assert prepare(cluster)["last"] == "nothing to do"


def test_what_somebody_else_made_stays(cluster):
    prepare(cluster)
    cluster.admin.store["component"]["tallyman-event"] = {
        "template": {"mappings": {"dynamic": True}}}
    steps = prepare(cluster, code=FAILED)
    assert steps["tallyman-event"].startswith(
        "refused: it is there, and tallyman did not make it")
    assert prepare(cluster, "--force")["tallyman-event"] == "updated: by --force"


def test_what_a_newer_tallyman_made_stays(cluster):
    prepare(cluster, "--retention", "30d")
    p = policy(cluster)
    if cluster.flavour == "elasticsearch":
        p["_meta"]["version"] = 99
    else:
        p["description"] = p["description"].replace("version 1", "version 99")
    steps = prepare(cluster, "--retention", "90d", code=FAILED)
    assert steps["lifecycle policy"].startswith("refused: a newer tallyman made it")
    assert delete_age(cluster) == "31d"


# -- what a server does not have ----------------------------------------------------


@pytest.mark.parametrize("how", [400, 404, 405])
def test_a_server_without_a_lifecycle_gets_the_rest(cluster, how):
    cluster.admin.lacks = {"ilm", "ism"}
    cluster.admin.lacking = how
    steps = prepare(cluster)
    assert steps["lifecycle policy"].startswith("skipped: this server has no I")
    assert outcomes(steps) == ["created", "created", "skipped", "created", "skipped"]
    assert prepare(cluster)["last"] == "nothing to do"


def test_a_lifecycle_that_comes_later_is_taken_up(elastic):
    elastic.admin.lacks = {"ilm"}
    prepare(elastic)
    elastic.admin.lacks = set()
    steps = prepare(elastic)
    assert steps["lifecycle policy"] == "created"
    assert steps["index template"] == "updated"
    settings = elastic.admin.store["index"]["tallyman-auditing"]["template"]
    assert settings["settings"]["index"]["lifecycle"]["name"] == "tallyman-auditing"


def test_a_server_without_a_flat_type_keeps_bodies_unsearched(cluster):
    cluster.admin.lacks = {"flat"}
    assert prepare(cluster)["tallyman-event"].startswith("created: without a flat type")
    assert prepare(cluster)["tallyman-event"].startswith("unchanged: without")
    cluster.admin.lacks = set()
    assert prepare(cluster)["tallyman-event"] == "updated"


def test_who_may_not_is_told_what_it_takes(cluster):
    cluster.admin.forbidden = {"/_component_template", "/_ilm", "/_plugins"}
    steps = prepare(cluster, code=FAILED)
    needs = {"elasticsearch": ("manage_index_templates", "manage_ilm"),
             "opensearch": ("cluster_manage_index_templates",
                            "cluster:admin/opendistro/ism/policy/*")}
    for kind, privilege in zip(("tallyman-event", "lifecycle policy"),
                               needs[cluster.flavour]):
        assert steps[kind].startswith("failed: ") and "403" in steps[kind]
        assert privilege in steps[kind]
    # What it is made of is not there, as the server says.
    assert "do not exist" in steps["index template"]


def test_another_template_for_the_same_indices_is_the_servers_to_tell(cluster):
    cluster.admin.store["index"]["other"] = {
        "index_patterns": ["auditing-*"], "priority": 250 + len("auditing-")}
    steps = prepare(cluster, code=FAILED)
    assert "[other] that have the same priority" in steps["index template"]
    assert outcomes(steps)[:3] == ["created"] * 3


def test_a_cluster_that_is_not_there(rig):
    done = run_program("setup", "--hosts", "http://127.0.0.1:1")
    assert done.returncode == FAILED and done.stdout == ""
    assert done.stderr.startswith("tallyman setup: http://127.0.0.1:1: ")


def test_one_host_of_several_is_enough(cluster):
    hosts = f"http://127.0.0.1:1,{cluster.url}"
    done = run_program("setup", "--hosts", hosts)
    assert done.returncode == STOPPED, done.stdout + done.stderr
    assert done.stdout.endswith("done\n") and done.stdout.count("created") == 4


def test_what_is_no_answer_of_a_cluster_is_told(elastic):
    elastic.admin.pages = {COMPONENTS[0]}
    steps = prepare(elastic, code=FAILED)
    assert steps["tallyman-event"].startswith(
        f"failed: the answer to GET {COMPONENTS[0]} cannot be read")
    assert COMPONENTS[0] not in elastic.admin.changes


def test_a_wrong_password_is_told_and_not_printed(rig):
    bulk = rig.new_bulk(basic=("u", "right"))
    bulk.admin = Admin("elasticsearch")
    config = rig.write_config({"search": rig.search(
        bulk, username="u", password="wr0ng-secret")})
    done = run_program("setup", "-c", config)
    assert done.returncode == FAILED
    assert "401" in done.stderr
    assert "wr0ng-secret" not in done.stderr + done.stdout
    assert bulk.admin.changes == []


# -- where events go ----------------------------------------------------------------


def configured(rig, bulk, **more) -> tuple:
    return "-c", rig.write_config({"search": rig.search(bulk, **more)})


def test_a_data_stream_is_made(rig, cluster):
    name = "logs-kubernetes.audit-default"
    args = configured(rig, cluster, data_stream=name)
    assert prepare(cluster, *args, "--dry-run")["data stream"] == "would create"
    assert prepare(cluster, *args)["data stream"] == "created"
    assert cluster.admin.streams == {name}
    assert prepare(cluster, *args)["data stream"] == "unchanged"
    p = json.dumps(policy(cluster, f"tallyman-{name}"))
    assert '"rollover"' in p and '"30d"' in p and '"50gb"' in p
    # ILM counts from the rollover, ISM from when the index was made.
    assert delete_age(cluster, name=f"tallyman-{name}") == (
        "365d" if cluster.flavour == "elasticsearch" else "395d")


def test_two_outputs_of_one_cluster_do_not_clash(rig, cluster):
    """Not even where the pattern of one fits the name of the other."""
    prepare(cluster, *configured(rig, cluster, index='"audit-%Y.%m.%d"'))
    prepare(cluster, *configured(rig, cluster, data_stream="audit-stream"))
    templates = cluster.admin.store["index"]
    assert (templates["tallyman-audit-stream"]["priority"]
            > templates["tallyman-audit"]["priority"] > 200)


def test_without_its_api_a_data_stream_comes_with_the_first_event(rig, cluster):
    cluster.admin.lacks = {"data_stream"}
    steps = prepare(cluster, *configured(rig, cluster, data_stream="audits"))
    assert steps["data stream"].startswith("skipped: this server has no /_data_stream")
    assert steps["index template"] == "created"


def test_an_index_without_a_date_becomes_an_alias(rig, cluster):
    args = configured(rig, cluster, index="audits")
    assert prepare(cluster, *args)["write alias"] == "created"
    assert cluster.admin.aliases == {"audits": "audits-000001"}
    assert prepare(cluster, *args)["write alias"] == "unchanged"
    index = cluster.admin.store["index"]["tallyman-audits"]
    assert index["index_patterns"] == ["audits", "audits-*"]
    assert '"rollover_alias": "audits"' in json.dumps(index)


def test_an_index_where_an_alias_should_be_is_left(rig, cluster):
    cluster.admin.indices.add("audits")
    steps = prepare(cluster, *configured(rig, cluster, index="audits"))
    assert steps["write alias"].startswith("skipped: it is an index and no alias")


def test_an_index_that_is_nothing_but_a_date_is_refused(rig, cluster):
    args = configured(rig, cluster, index='"%Y.%m.%d"')
    done = run_program("setup", *args)
    assert done.returncode == CONFIG
    assert "nothing but a date" in done.stderr
    assert cluster.admin.changes == []


# -- dashboards ---------------------------------------------------------------------


def test_dashboards_are_imported_once(cluster):
    assert prepare(cluster, "--dry-run", "--dashboards", cluster.url)["dashboards"] == (
        "would create")
    assert cluster.admin.saved == {}
    assert prepare(cluster, "--dashboards", cluster.url)["dashboards"] == "created"
    assert len(cluster.admin.saved) == OBJECTS
    steps = prepare(cluster, "--dashboards", cluster.url + "/")
    assert steps["last"] == "nothing to do" and cluster.admin.changes == []


def test_dashboards_look_at_where_the_events_go(rig, cluster):
    args = configured(rig, cluster, data_stream="logs-kubernetes.audit-default")
    prepare(cluster, *args, "--dashboards", cluster.url)
    pattern = cluster.admin.saved["index-pattern", "tallyman-audit"]
    assert pattern["attributes"]["title"] == "logs-kubernetes.audit-default"
    # For another output they are others.
    steps = prepare(cluster, "--dashboards", cluster.url, code=FAILED)
    assert steps["dashboards"].startswith("refused: there are others of tallyman's")


def test_dashboards_that_are_there_are_overwritten_by_force_alone(cluster):
    prepare(cluster, "--dashboards", cluster.url)
    main = cluster.admin.saved["dashboard", "tallyman-overview"]["attributes"]
    text, main["description"] = main["description"], "mine"
    steps = prepare(cluster, "--dashboards", cluster.url, code=FAILED)
    assert steps["dashboards"].startswith("refused: ") and main["description"] == "mine"
    assert cluster.admin.changes == []
    steps = prepare(cluster, "--dashboards", cluster.url, "--force")
    assert steps["dashboards"] == "updated: by --force"
    main = cluster.admin.saved["dashboard", "tallyman-overview"]["attributes"]
    assert main["description"] == text


def test_a_part_of_the_dashboards_that_is_there_stays(cluster):
    mine = {"id": "tallyman-trail", "type": "search", "attributes": {"title": "mine"}}
    cluster.admin.saved["search", "tallyman-trail"] = mine
    steps = prepare(cluster, "--dashboards", cluster.url, code=FAILED)
    assert steps["dashboards"].startswith("refused: some of their parts")
    assert cluster.admin.saved["search", "tallyman-trail"] is mine


def test_dashboards_go_into_a_file_for_the_console(rig, cluster):
    path = rig.home / "dashboards.ndjson"
    assert prepare(cluster, "--dashboards", path, "--dry-run")["dashboards"].startswith(
        "would create")
    assert not path.exists()
    steps = prepare(cluster, "--dashboards", path)
    assert "import it" in steps["dashboards"]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == OBJECTS
    assert prepare(cluster, "--dashboards", path, code=FAILED)["dashboards"] == (
        "refused: the file is there; --force overwrites it")


@pytest.mark.parametrize("lacks, said", [
    ("console", "is this the URL of Kibana?"), ("", "403")])
def test_a_console_that_does_not_take_them_is_told(elastic, lacks, said):
    elastic.admin.lacks, elastic.admin.lacking = {lacks}, 404
    elastic.admin.forbidden = set() if lacks else {"/api"}
    steps = prepare(elastic, "--dashboards", elastic.url, code=FAILED)
    assert steps["dashboards"].startswith("failed: ") and said in steps["dashboards"]
    assert outcomes(steps)[:4] == ["created"] * 4


@pytest.mark.parametrize("url, said", [
    ("ftp://x", "must begin with http"),
    ("https://u:s3cret@x", "may not hold credentials")])
def test_the_place_of_the_dashboards_has_to_be_a_url_or_a_file(elastic, url, said):
    done = run_program("setup", "--hosts", elastic.url, "--dashboards", url)
    assert done.returncode == USAGE
    assert f"--dashboards: the URL {said}" in done.stderr
    assert "s3cret" not in done.stderr


# -- for programs -------------------------------------------------------------------


def test_the_report_is_one_object(cluster):
    cluster.admin.lacks = {"ilm", "ism"}
    done = run_program("setup", "--hosts", cluster.url, "--json", "--dry-run")
    assert done.returncode == STOPPED and done.stdout.count("\n") == 1
    report = json.loads(done.stdout)
    assert report["product"].lower() == cluster.flavour
    assert report["target"] == "auditing-%Y.%m.%d" and report["dry_run"] is True
    assert [(s["what"], s["name"], s["outcome"]) for s in report["steps"]] == [
        ("component template", "tallyman-event", "would create"),
        ("component template", "tallyman-settings", "would create"),
        ("lifecycle policy", "tallyman-auditing", "skipped"),
        ("index template", "tallyman-auditing", "would create"),
        ("dashboards", "tallyman", "skipped")]
    assert report["steps"][2]["why"].startswith("this server has no")
