# SPDX-License-Identifier: Apache-2.0
"""AWS Signature Version 4 as a server checks it: from the specification, with
Python's own hashes and URL functions."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})")


@dataclass
class Keys:
    """What a domain lets in."""

    id: str
    secret: str
    token: str | None = None
    region: str = "eu-central-1"
    service: str = "es"

    def complaint(self, method: str, target: str, headers, body: bytes) -> str | None:
        """Why the request is not let in; None: it is."""
        m = AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
        if not m:
            return "no signature"
        id_, day, region, service, names, signature = m.groups()
        if (id_, region, service) != (self.id, self.region, self.service):
            return f"the credential is of {id_[:4]}..., {region}, {service}"
        if headers.get("x-amz-security-token") != self.token:
            return "the security token is not valid"
        names = names.split(";")
        for must in ("host", "x-amz-date", "x-amz-content-sha256",
                     *(["x-amz-security-token"] if self.token else [])):
            if must not in names:
                return f"{must} is not signed"
        date = headers["x-amz-date"]
        if not re.fullmatch(r"\d{8}T\d{6}Z", date) or date[:8] != day:
            return f"the date is {date}"
        digest = hashlib.sha256(body).hexdigest()
        if headers["x-amz-content-sha256"] != digest:
            return "the body has another hash"
        if self.sign(method, target, headers, names, date, digest) != signature:
            return "the signature does not match"
        return None

    def sign(self, method, target, headers, names, date, digest) -> str:
        url = urlsplit(target)
        pairs = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~"))
                       for k, v in parse_qsl(url.query.replace("+", "%2B"),
                                             keep_blank_values=True))
        canonical = "\n".join([
            method, quote(url.path or "/", safe="/-_.~"),
            "&".join(f"{k}={v}" for k, v in pairs),
            *(f"{n}:{' '.join(headers[n].split())}" for n in names), "",
            ";".join(names), digest])
        scope = f"{date[:8]}/{self.region}/{self.service}/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", date, scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret).encode()
        for part in (*scope.split("/"), text):
            key = hmac.new(key, part.encode(), "sha256").digest()
        return key.hex()
