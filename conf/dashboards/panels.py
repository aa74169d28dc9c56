# SPDX-License-Identifier: Apache-2.0
"""What the dashboards show: the one description of them.

generate.py makes saved objects of it, and the searches that these amount to.
Change something here, run generate.py, and look at both.

A query is a list of conditions, all of which hold: (field, value), (field, [one,
of, these]), (field, Prefix("...")), (field, Range(from, below)), Not(field, value).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Prefix:
    text: str


@dataclass(frozen=True)
class Range:
    start: int
    below: int


@dataclass(frozen=True)
class Not:
    field: str
    value: object


Query = list


@dataclass(frozen=True)
class Over:
    """Events over time, each bar split by a field or by named queries."""

    id: str
    title: str
    query: Query
    by: str | dict[str, Query]


@dataclass(frozen=True)
class Top:
    """A table: the most frequent values of the first field, of the next within."""

    id: str
    title: str
    query: Query
    by: list[str]


@dataclass(frozen=True)
class Share:
    """A ring: how much of all each value of a field has."""

    id: str
    title: str
    query: Query
    by: str


@dataclass(frozen=True)
class Events:
    """The events themselves, newest first; also a view of its own in Discover."""

    id: str
    title: str
    query: Query
    columns: list[str]


@dataclass(frozen=True)
class Dashboard:
    id: str
    title: str
    text: str
    panels: list = field(default_factory=list)


# Of each request one event alone: that of its answer. Without these a request is
# there when it arrives, when a stream begins, and when it ends.
ANSWERED: Query = [Not("stage", ["RequestReceived", "ResponseStarted"])]
KNOWN: Query = [Not("stage", "RequestReceived")]
CHANGES = ["create", "update", "patch", "delete", "deletecollection"]
DENIED = [("responseStatus.code", 403)]
# 401 is told when the response starts, and by nothing else.
FAILED_LOGIN = [("responseStatus.code", 401)]
ANONYMOUS = [("user.username", "system:anonymous")]
SECRETS = [("objectRef.resource", "secrets")]
# A stream is counted when it begins: it may last for days.
STREAMS = [("objectRef.subresource", ["exec", "attach", "portforward"])]
STREAMS_BEGUN = [*STREAMS, ("stage", "ResponseStarted")]
RBAC = [("objectRef.apiGroup", "rbac.authorization.k8s.io"), ("verb", CHANGES)]
DELETIONS = [("verb", ["delete", "deletecollection"])]
ACCOUNTS = [("user.username", Prefix("system:serviceaccount:"))]
PEOPLE = [Not("user.username", Prefix("system:")), Not("user.username", "")]

# As in the tutorial of the audit log: who, as whom, what, how.
TRAIL = ["user.username", "user.groups", "objectRef.name", "verb", "stage"]
WHAT = ["user.username", "verb", "objectRef.resource", "objectRef.namespace",
        "objectRef.name", "responseStatus.code"]

CODES = {
    "1xx": [("responseStatus.code", Range(100, 200))],
    "2xx": [("responseStatus.code", Range(200, 300))],
    "3xx": [("responseStatus.code", Range(300, 400))],
    "4xx": [("responseStatus.code", Range(400, 500))],
    "5xx": [("responseStatus.code", Range(500, 600))],
}

# The view of the tutorial, in Discover.
DISCOVER = Events("trail", "Audit trail", [], TRAIL)

DASHBOARDS = [
    Dashboard("overview", "Audit: overview", "How much goes on, and of what kind.", [
        Over("rate-verb", "Requests by verb", ANSWERED, "verb"),
        Over("rate-stage", "Events by stage", [], "stage"),
        Over("rate-code", "Answers by class", ANSWERED, CODES),
        Share("levels", "Audit level", [], "level"),
        Top("resources", "Resources", ANSWERED, ["objectRef.resource", "verb"]),
        Top("namespaces", "Namespaces", ANSWERED, ["objectRef.namespace"]),
        Top("codes", "Answers that are errors",
            [*ANSWERED, ("responseStatus.code", Range(400, 600))],
            ["responseStatus.code", "objectRef.resource"]),
    ]),
    Dashboard("who", "Audit: who did what", "Users, service accounts, addresses.", [
        Over("who-changes", "Changes by user", [*ANSWERED, ("verb", CHANGES)],
             "user.username"),
        Top("people", "People", [*ANSWERED, *PEOPLE], ["user.username", "verb"]),
        Top("accounts", "Service accounts", [*ANSWERED, *ACCOUNTS],
            ["user.username", "verb"]),
        Top("addresses", "Source addresses", ANSWERED,
            ["sourceIPs", "user.username"]),
        Top("agents", "User agents", ANSWERED, ["userAgent"]),
        Events("who-events", "What people did", [*ANSWERED, *PEOPLE],
               [*WHAT, "sourceIPs"]),
    ]),
    Dashboard("denied", "Audit: denied", "What was forbidden (403), failed logins "
              "(401), and what nobody logged in for.", [
        Over("denied-rate", "Denied by user", DENIED, "user.username"),
        Over("login-rate", "Failed logins by address", FAILED_LOGIN, "sourceIPs"),
        Top("denied-users", "Denied", DENIED,
            ["user.username", "verb", "objectRef.resource"]),
        Top("login-addresses", "Failed logins", FAILED_LOGIN,
            ["sourceIPs", "userAgent"]),
        Top("anonymous", "Anonymous requests", [*ANSWERED, *ANONYMOUS],
            ["sourceIPs", "responseStatus.code"]),
        Events("denied-events", "What was denied",
               [("responseStatus.code", [401, 403])],
               [*WHAT, "sourceIPs", "requestURI"]),
    ]),
    Dashboard("secrets", "Audit: secrets", "Who read or changed secrets.", [
        Over("secrets-rate", "Requests by verb", [*ANSWERED, *SECRETS], "verb"),
        Top("secrets-users", "By user", [*ANSWERED, *SECRETS],
            ["user.username", "verb"]),
        Top("secrets-names", "By secret", [*ANSWERED, *SECRETS],
            ["objectRef.namespace", "objectRef.name"]),
        Events("secrets-events", "Access to secrets", [*KNOWN, *SECRETS], WHAT),
    ]),
    Dashboard("exec", "Audit: exec, attach, port-forward",
              "Who went into a container.", [
        Over("exec-rate", "Begun", STREAMS_BEGUN, "objectRef.subresource"),
        Top("exec-users", "By user", STREAMS_BEGUN,
            ["user.username", "objectRef.subresource"]),
        Top("exec-pods", "By pod", STREAMS_BEGUN,
            ["objectRef.namespace", "objectRef.name"]),
        Events("exec-events", "Sessions, with their commands", [*KNOWN, *STREAMS],
               ["user.username", "objectRef.subresource", "objectRef.namespace",
                "objectRef.name", "stage", "responseStatus.code", "requestURI"]),
    ]),
    Dashboard("rbac", "Audit: RBAC changes", "Who gave which rights to whom.", [
        Over("rbac-rate", "Changes by verb", [*ANSWERED, *RBAC], "verb"),
        Top("rbac-users", "By user", [*ANSWERED, *RBAC],
            ["user.username", "objectRef.resource"]),
        Events("rbac-events", "Changes", [*ANSWERED, *RBAC], WHAT),
    ]),
    Dashboard("deletions", "Audit: deletions", "Who deleted what.", [
        Over("deletions-rate", "Deletions by resource", [*ANSWERED, *DELETIONS],
             "objectRef.resource"),
        Top("deletions-users", "By user", [*ANSWERED, *DELETIONS],
            ["user.username", "objectRef.resource"]),
        Events("deletions-events", "Deletions", [*ANSWERED, *DELETIONS], WHAT),
    ]),
]
