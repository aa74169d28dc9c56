# SPDX-License-Identifier: Apache-2.0
"""A search server with TLS and users: a wrong password waits, the right delivers."""

import shutil
import subprocess
from pathlib import Path

import auditlog
from agent import Agent
from scenarios import LOG, balance, dead_letters, output, ship
from server import SearchServer
from waiting import Skipped, require, wait_until

PASSWORD = "right-password"
HASH = "$2a$06$QTmeJ22i882FtTBEYM9.3eoBUf1Lw7id/4fSk3h1rWDPowQtGCW0u"
# What a shipper needs and no more: it makes its index, and adds documents to it.
ROLES = """
shipper:
  indices:
    - names: ["secured-*"]
      privileges: [auto_configure, create_doc]
"""


def openssl(*args: object) -> None:
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Secured:
    def __init__(self, home: Path, version: str):
        self.home = home
        self.config = home / "config"
        self.server = SearchServer(home / "server", "elasticsearch", version)
        self.server.login("admin", PASSWORD, self.config / "ca.crt")
        self.agent: Agent | None = None

    def start(self) -> None:
        if not shutil.which("openssl"):
            raise Skipped("openssl is not installed")
        self.config.mkdir(parents=True)
        key, crt = self.config / "http.key", self.config / "http.crt"
        # It signs itself, so it is its own authority.
        openssl(
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            2,
            "-keyout",
            key,
            "-out",
            crt,
            "-subj",
            "/O=tallyman/CN=node",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        )
        (self.config / "ca.crt").write_bytes(crt.read_bytes())
        (self.config / "roles.yml").write_text(ROLES)
        (self.config / "users").write_text(f"admin:{HASH}\ntallyman:{HASH}\n")
        (self.config / "users_roles").write_text("superuser:admin\nshipper:tallyman\n")
        ssl = "xpack.security.http.ssl"
        self.server.start(
            "--config",
            self.config,
            "--auth",
            f"admin:{PASSWORD}",
            "--set",
            "xpack.security.enabled=true",
            "--set",
            f"{ssl}.enabled=true",
            "--set",
            f"{ssl}.key=http.key",
            "--set",
            f"{ssl}.certificate=http.crt",
        )

    def agent_with(self, password: str) -> Agent:
        self.agent = Agent(
            self.home / "agent",
            LOG,
            {
                "search": output(
                    self.server,
                    "secured",
                    username="tallyman",
                    password=password,
                    tls={"ca_file": self.config / "ca.crt"},
                )
            },
        )
        return self.agent

    def deliver(self) -> str:
        events = auditlog.read([LOG])
        locked_out = self.agent_with("wrong-password").start()
        wait_until("tallyman says 401", lambda: locked_out.said(r"\b401\b"))
        counters = locked_out.counters()
        require(counters["delivered"] == counters["dead"] == 0, f"counters: {counters}")
        locked_out.stop()
        ship(self.agent_with(PASSWORD), len(events))
        return balance(
            events, self.server.documents("secured-*"), dead_letters(self.agent)
        )

    def close(self) -> None:
        if self.agent:
            self.agent.kill()
        self.server.stop()
