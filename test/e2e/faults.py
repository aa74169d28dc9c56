# SPDX-License-Identifier: Apache-2.0
"""What can go wrong at a bulk endpoint: the words of a fault plan.

A Whole concerns one request, an Item one document in it. Both say only *what*
is answered, as real servers do; bulk_server.py carries it out, plans decide
when. Nothing here knows HTTP, sockets or tests.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Item:
    """An item's answer that is not 201: what servers say, and what they store."""

    status: int
    type: str
    reason: str
    cause: str = ""


QUEUE_FULL = Item(
    429,
    "es_rejected_execution_exception",
    "rejected execution of primary operation [coordinating_and_primary_bytes=0, "
    "replica_bytes=0, all_bytes=0, max_primary_bytes=53687091]",
)
QUEUE_FULL_OPENSEARCH = Item(
    429, "rejected_execution_exception", "rejected execution of primary operation"
)
DISK_FULL = Item(
    429,
    "cluster_block_exception",
    "index [{index}] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded "
    "flood-stage watermark, index has read-only-allow-delete block];",
)
BAD_DOCUMENT = Item(
    400,
    "document_parsing_exception",
    "[1:72] failed to parse field [sourceIPs] of type [ip] in document with id "
    "'{id}'. Preview of field's value: 'not an address'",
    "'not an address' is not an IP string.",
)
IMMENSE_TERM = Item(
    400,
    "illegal_argument_exception",
    'Document contains at least one immense term in field="requestObject" (whose '
    "UTF8 encoding is longer than the max length 32766), all of which were skipped.",
)
# Elasticsearch 8 and 9; the preview is not short.
IMMENSE_TERM_BELOW = Item(
    400,
    "document_parsing_exception",
    "[1:198] failed to parse field [requestObject] of type [flattened] in document with "
    "id '{id}'. Preview of field's value: '" + "x" * 600 + "'",
    "Flattened field [requestObject] contains one immense field whose keyed encoding is "
    "longer than the allowed max length of 32766 bytes. Key length: 1, value length: "
    "40000 for key starting with [k]",
)
# Elasticsearch 9.2 and later, in a new stream of logs-*-*: a success, it says.
FAILURE_STORE = Item(201, "failure_store", "used")
INDEX_CLOSED = Item(400, "index_closed_exception", "closed")
NO_INDEX = Item(
    404, "index_not_found_exception", "no such index [{index}] and auto-create is off"
)
NO_STREAM = Item(
    404,
    "resource_not_found_exception",
    "[require_data_stream] request flag is [true] and [{index}] is not a data stream",
)
NO_STREAM_TEMPLATE = Item(
    404,
    "index_not_found_exception",
    "no such index [{index}] and the index creation request requires a data stream, "
    "but no matching index template with data stream template was found for it",
)
CONFLICT = Item(
    409,
    "version_conflict_engine_exception",
    "[{id}]: version conflict, document already exists (current version [1])",
)
NO_SHARD = Item(
    503,
    "unavailable_shards_exception",
    "[{index}][0] primary shard is not active Timeout: [1m], request: "
    "[BulkShardRequest [[{index}][0]] containing [1] requests]",
)
NODE_LOST = Item(500, "node_not_connected_exception", "[node2] disconnected")
TIMED_OUT = Item(408, "timeout_exception", "request timed out")
WRITE_BLOCK = Item(
    403,
    "cluster_block_exception",
    "index [{index}] blocked by: [FORBIDDEN/8/index write (api)];",
)
NO_RIGHT = Item(
    403,
    "security_exception",
    "action [indices:data/write/bulk[s]] is unauthorized for user [tallyman] with "
    "effective roles [shipper] on indices [{index}]",
)


@dataclass(frozen=True)
class Whole:
    """What happens to one request.

    kind:
      status      answered with `status`; nothing is looked at, nothing stored
      long        stored; the answer has two items more than the request
      packed      stored; the answer is gzip, though nobody asked for that
      short       stored; the answer leaves out all but the first `keep` items
      garbage     stored; 200 with something that is not JSON
      html        200 with a proxy's page; not stored
      liar        500 with items that all say 201; not stored
      truncated   stored; a complete HTTP answer whose JSON stops half-way
      cut         stored; the connection is reset in the middle of the answer
      broken_off  stored; the connection is closed in the middle of the answer
      lost        stored; the connection is closed without a byte of answer
      lost_reset  stored; the connection is reset without a byte of answer
      reset_body  the connection is reset before all of the request was read
      slow        stored; answered after `seconds`
      abreast     the same, but not before `keep` requests were there at once, ever
      hang        held until BulkServer.release(), before anything is stored
      hang_after  stored, then held until BulkServer.release()
    """

    kind: str
    status: int = 200
    keep: int = 0
    seconds: float = 0.0
    retry_after: int | str | None = None
    location: str | None = None
    type: str = ""          # of the error, where it is not the usual one
    reason: str = ""


def status(code: int, **kw) -> Whole:
    return Whole("status", status=code, **kw)


UNAUTHORIZED = status(401)
FORBIDDEN = status(403)
NOT_FOUND = status(404, type="resource_not_found_exception", reason="planned by the test")
TIMEOUT = status(408)
TOO_LARGE = status(413)
TOO_MANY = status(429)
SERVER_ERROR = status(500)
BAD_GATEWAY = status(502)           # an HTML page, as proxies send it
UNAVAILABLE = status(503)
GATEWAY_TIMEOUT = status(504)
MOVED = status(301, location="https://elsewhere.invalid/_bulk")
WRONG_TYPE = status(406)            # its error is a string
READ_ONLY = status(
    403, type="cluster_block_exception",
    reason="blocked by: [FORBIDDEN/13/cluster read-only / allow delete (api)];")
PACKED = Whole("packed")
HTML_200 = Whole("html")
LIAR = Whole("liar")
SHORT = Whole("short")
SHORT_BY_SOME = Whole("short", keep=1)
LONG = Whole("long")
GARBAGE = Whole("garbage")
TRUNCATED = Whole("truncated")
CUT = Whole("cut")
BROKEN_OFF = Whole("broken_off")
LOST = Whole("lost")
LOST_RESET = Whole("lost_reset")
RESET_BODY = Whole("reset_body")
HANG = Whole("hang")
HANG_AFTER = Whole("hang_after")

# Whole faults that end by themselves when the request is sent once more.
PASSING: dict[str, Whole] = {
    "whole_401": UNAUTHORIZED,
    "whole_403": FORBIDDEN,
    "whole_404": NOT_FOUND,
    "whole_408": TIMEOUT,
    "whole_429": TOO_MANY,
    "whole_500": SERVER_ERROR,
    "whole_502_html": BAD_GATEWAY,
    "whole_503": UNAVAILABLE,
    "whole_504_html": GATEWAY_TIMEOUT,
    "whole_301": MOVED,
    "whole_406": WRONG_TYPE,
    "whole_403_read_only": READ_ONLY,
    "html_with_200": HTML_200,
    "whole_500_with_items": LIAR,
    "no_items": SHORT,
    "short": SHORT_BY_SOME,
    "long": LONG,
    "garbage": GARBAGE,
    "truncated": TRUNCATED,
    "reset_mid_answer": CUT,
    "closed_mid_answer": BROKEN_OFF,
    "lost_answer": LOST,
    "lost_answer_reset": LOST_RESET,
    "reset_mid_body": RESET_BODY,
}

RETRIED: dict[str, Item] = {
    "item_429": QUEUE_FULL,
    "item_429_opensearch": QUEUE_FULL_OPENSEARCH,
    "item_429_disk_full": DISK_FULL,
    "item_503": NO_SHARD,
    "item_500": NODE_LOST,
    "item_408": TIMED_OUT,
    "item_403_block": WRITE_BLOCK,
    "item_403_right": NO_RIGHT,
    "item_404": NO_INDEX,
}

REFUSED: dict[str, Item] = {
    "item_400": BAD_DOCUMENT,
    "item_400_immense_term": IMMENSE_TERM,
    "item_400_closed": INDEX_CLOSED,
}


@dataclass
class Chaos:
    """Faults at random, the same for the same seed and order of requests.

    `whole` and `item` give weights; `p_whole` and `p_item` how often at all.
    `p_item` is how likely a request is to have failing items; each of its items
    then fails with `share`.
    """

    seed: int
    p_whole: float = 0.2
    p_item: float = 0.2
    share: float = 0.3
    whole: dict[Whole, float] = field(
        default_factory=lambda: {f: 1.0 for f in PASSING.values()}
    )
    item: dict[Item, float] = field(
        default_factory=lambda: {f: 1.0 for f in RETRIED.values()}
    )

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def next_whole(self) -> Whole | None:
        if not self.whole or self.random.random() >= self.p_whole:
            return None
        return self.random.choices(list(self.whole), list(self.whole.values()))[0]

    def next_items(self, n: int) -> list[Item | None]:
        if not self.item or self.random.random() >= self.p_item:
            return [None] * n
        kinds, weights = list(self.item), list(self.item.values())
        return [
            self.random.choices(kinds, weights)[0]
            if self.random.random() < self.share
            else None
            for _ in range(n)
        ]
