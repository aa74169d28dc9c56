# SPDX-License-Identifier: Apache-2.0
"""Certificates, made by openssl when a test wants them, and TLS servers of them."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from wait import SCALE

NAMES = "DNS:localhost,IP:127.0.0.1"


def openssl(*args: object) -> None:
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True,
                          timeout=60 * SCALE)
    assert done.returncode == 0, done.stderr


@dataclass
class Pair:
    cert: Path
    key: Path

    def fingerprint(self) -> str:
        """SHA-256 of the (first) certificate, as Elasticsearch prints it."""
        der = ssl.PEM_cert_to_DER_cert(self.cert.read_text().split(
            "-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
        return hashlib.sha256(der).hexdigest()


class Authority:
    """A CA in a directory of its own."""

    def __init__(self, home: Path, name: str = "ca") -> None:
        self.home = home / name
        self.home.mkdir()
        self.home.chmod(0o755)
        self.ca = Pair(self.home / "ca.crt", self.home / "ca.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", self.ca.key, "-out", self.ca.cert,
                "-subj", f"/CN={name}", "-days", 2,
                "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name: str, names: str = NAMES, days: int = 2,
              password: str | None = None) -> Pair:
        """A certificate for server and client; days below 0: expired."""
        pair = Pair(self.home / f"{name}.crt", self.home / f"{name}.key")
        request = self.home / f"{name}.csr"
        extensions = self.home / f"{name}.ext"
        extensions.write_text(
            f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-keyout", pair.key, "-out", request, "-subj", f"/CN={name}",
                *(["-passout", f"pass:{password}"] if password else ["-nodes"]))
        times = ["-days", days] if days > 0 else [
            "-not_before", "20200101000000Z", "-not_after", "20200201000000Z"]
        if days > 0:
            openssl("x509", "-req", "-in", request, "-CA", self.ca.cert, "-CAkey",
                    self.ca.key, "-set_serial", "0x" + hashlib.sha256(
                        name.encode()).hexdigest()[:12],
                    "-out", pair.cert, "-extfile", extensions, *times)
        else:
            self._issue_expired(pair, request, extensions)
        return pair

    def _issue_expired(self, pair: Pair, request: Path, extensions: Path) -> None:
        """`openssl x509` of version 3.0 cannot set dates; `openssl ca` can."""
        (self.home / "index.txt").touch()
        (self.home / "serial").write_text("01\n")
        conf = self.home / "ca.conf"
        conf.write_text(
            "[ca]\ndefault_ca=d\n[d]\n"
            f"database={self.home}/index.txt\nserial={self.home}/serial\n"
            f"new_certs_dir={self.home}\ndefault_md=sha256\npolicy=p\n"
            "[p]\ncommonName=supplied\n")
        openssl("ca", "-batch", "-config", conf, "-in", request, "-out", pair.cert,
                "-cert", self.ca.cert, "-keyfile", self.ca.key, "-notext",
                "-extfile", extensions, "-startdate", "20200101000000Z",
                "-enddate", "20200201000000Z")

    def server(self, pair: Pair | None = None, with_ca: bool = False,
               clients: "Authority | None" = None,
               newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """What a server says; with_ca sends the CA's certificate along, `clients`
        demands one of theirs."""
        pair = pair or self.issue("server")
        chain = self.home / f"{pair.cert.stem}-chain.pem"
        chain.write_text(pair.cert.read_text()
                         + (self.ca.cert.read_text() if with_ca else ""))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, pair.key)
        if newest:
            context.maximum_version = newest
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients.ca.cert)
        return context
