# SPDX-License-Identifier: Apache-2.0
"""Events that kube-apiserver can write and an index would rather not have.

Each is a line of a log, with a name that no other has in objectRef.name. Bodies are
bytes, for a patch's are what the client sent: Python's json could not write them.
"""

import json
from typing import Iterator

TIME = "2026-11-23T17:00:{:02d}.{:06d}Z"


def nested(levels: int, leaf: bytes = b"1") -> bytes:
    return b'{"a":' * levels + leaf + b"}" * levels


def text(length: int, of: bytes = b"x") -> bytes:
    return b'"' + of * (length // len(of)) + b'"'


def keys(names: range, value: object = "v") -> bytes:
    return json.dumps({f"team{i}.example.com/x.y": value for i in names}).encode()


# What only a patch can hold: its body is passed on as it came.
PATCHES = {
    "repeated": b'{"spec":{"replicas":1,"replicas":2},"spec":{"paused":true}}',
    "repeated-escaped": b'{"a":1,"\\u0061":2,"a#1":3}',
    "repeated-often": b"{" + b'"":1,' * 20000 + b'"":2}',
    "not-utf8": b'{"data":{"k\xff":"v\xfe","cut":"\xe4\xb8","cesu":"\xed\xa0\x80"}}',
    "half-pair": b'{"\\ud800":"\\udc00","\\udfff x":"\\ud83d"}',
    "nul": b'{"a\\u0000b":"\\u0000","\\u0000":1}',
    "json-patch": b'[{"op":"add","path":"/a","value":{"b":[1,"x",null,true]}},'
    b'{"op":"replace","path":"/c","value":"y"},{"op":"remove","path":"/d"}]',
    "scalars": b'[1,"a",null,true,[2,{"a":1,"a":2}]]',
    "string": b'"just text"',
    "number": b"12",
    "true": b"true",
    "null": b"null",
    "big-number": b'{"a":' + b"9" * 5000 + b',"b":-' + b"9" * 40000 + b".5e5}",
    "odd-numbers": b'{"a":1e400,"b":-1e-400,"c":1.50E+2,"d":1e99999999999,"e":-0}',
    "long-key": b'{"' + b"k" * 40000 + b'":1,"' + b"k" * 1000 + b'":' + text(40000)
    + b"}",
    "long-path": (b'{"' + b"k" * 1000 + b'":') * 40 + b"1" + b"}" * 40,
    "deep-99": nested(98),
    "deep-100": nested(99),
    "deep-150": nested(150, text(9000)),
    "deep-600": nested(600),
    "deep-9000": nested(9000),
    "deep-array": b"[" * 600 + b"]" * 600,
    "deep-mixed": b'{"a":[' * 300 + b"1" + b"]}" * 300,
}

# What any body can hold.
BODIES = {
    "long-32k": b'{"a":' + text(32766) + b"}",
    "long-33k": b'{"data":{"x":' + text(33000) + b"}}",
    "long-900k": b'{"data":{"x":' + text(900_000) + b',"y":"z"}}',
    "long-chars": b'{"data":{"x":' + text(60000, "中".encode()) + b"}}",
    "long-faces": b'{"data":{"x":' + text(60000, "😀".encode()) + b"}}",
    "long-escapes": b'{"data":{"x":' + text(60000, b'\\"') + b"}}",
    "dots": b'{"metadata":{"managedFields":[{"fieldsV1":{"f:data":{".":{},"f:a":{},'
    b'"..":{},"":{"":1},".a":1,"b.":2,"c..d":3," ":4}}}]}}',
    "type-number": b'{"spec":{"port":80},"status":"Failure","data":{"a.b":1}}',
    "type-text": b'{"spec":{"port":"http"},"status":{"phase":"x"},"data":{"a":{"b":1}}}',
    "type-list": b'{"spec":[1,{"port":[]}],"status":[],"data":[["x"]]}',
    "type-null": b'{"spec":null,"status":{},"data":[null,{"a":null}]}',
    "many-keys": keys(range(5000), 1),
    "empty": b"{}",
}


def event(name: str, stage: int, verb: str, **members: bytes) -> bytes:
    """In the order of the API server, which writes no space."""
    time = TIME.format(stage % 60, stage)
    head = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": f"hard-{name}-{verb}",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/shop/configmaps/x",
        "verb": verb,
        "user": {"username": f"jai-{name}", "groups": ["dev"]},
        "sourceIPs": ["10.0.0.1", "::1"],
        "objectRef": {"resource": "configmaps", "namespace": "shop", "name": name},
        "responseStatus": {"metadata": {}, "code": 200},
    }
    tail = {"requestReceivedTimestamp": time, "stageTimestamp": time}
    fields = {k: json.dumps(v, separators=(",", ":")).encode() for k, v in head.items()}
    fields.update({k: members.pop(k) for k in list(members) if k in fields})
    fields.update(members)
    fields.update({k: json.dumps(v).encode() for k, v in tail.items()})
    annotations = fields.pop("annotations", None)
    if annotations is not None:
        fields["annotations"] = annotations
    members_text = (b'"%s":%s' % (k.encode(), v) for k, v in fields.items())
    return b"{" + b",".join(members_text) + b"}"


def others() -> Iterator[tuple[str, str, dict[str, bytes]]]:
    """What is outside the bodies; and what today's API server writes in no such
    place, but other ones may."""
    for i in range(1000):
        yield f"annotation-{i}", "get", {"annotations": keys(range(i, i + 1))}
    yield "annotations", "get", {"annotations": keys(range(1000))}
    yield "annotation-long", "get", {"annotations": b'{"a":' + text(100000) + b"}"}
    yield "annotation-dot", "get", {"annotations": b'{".":"x","":"y","a.":"z"}'}
    yield "extra", "get", {
        "user": b'{"username":"jai-extra","extra":{".":["a"],"x/y.z":['
        + text(40000)
        + b"]}}"
    }
    yield "uri", "get", {"requestURI": text(600000, b"\\u003c")}
    yield "message", "get", {
        "responseStatus": b'{"metadata":{},"status":"Failure","message":'
        + text(400000, b"\\u003c")
        + b',"reason":"NotFound","details":{"name":'
        + text(400000, b"\\u003c")
        + b',"causes":[{"reason":"x","message":"y","field":"z"}]},"code":404}'
    }
    yield "no-user", "get", {"user": b'{"username":"jai-no-user"}', "sourceIPs": b"[]"}
    yield "sources", "get", {"sourceIPs": b'["1.2.3.4","nonsense","",null]'}
    yield "other-repeated", "create", {"requestObject": PATCHES["repeated"]}
    yield "other-not-utf8", "update", {"responseObject": PATCHES["not-utf8"]}
    yield "other-key", "update", {"annotations": b'{"a\\u0000b":"x","a":"y","a":"z"}'}
    yield "other-scalar", "create", {"responseObject": b"[1]"}


def events() -> list[bytes]:
    made = [(f"patch-{n}", "patch", {"requestObject": b}) for n, b in PATCHES.items()]
    for name, body in BODIES.items():
        made.append((f"request-{name}", "create", {"requestObject": body}))
        made.append((f"response-{name}", "get", {"responseObject": body}))
        made.append((f"patched-{name}", "patch", {"requestObject": body}))
    made.extend(others())
    return [event(n, i, verb, **members) for i, (n, verb, members) in enumerate(made)]
