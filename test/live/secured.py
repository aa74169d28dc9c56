# SPDX-License-Identifier: Apache-2.0
"""A search server with TLS and users: a wrong password waits, the right delivers."""

import json
import shutil
import subprocess
from pathlib import Path

import auditlog
from agent import PROGRAM, Agent
from scenarios import LOG, balance, dead_letters, output, ship
from server import SearchServer
from waiting import Skipped, require, wait_until

PASSWORD = "right-password"
HASH = "$2a$06$QTmeJ22i882FtTBEYM9.3eoBUf1Lw7id/4fSk3h1rWDPowQtGCW0u"
# What a shipper needs and no more: it makes its index, and adds documents to it.
ROLES = """
shipper:
  indices:
    - names: [{names}]
      privileges: [auto_configure, create_doc]
installer:
  cluster: [manage_index_templates]
"""
# Whose certificate it is, is who he is.
MAPPING = 'shipper: ["CN=shipper,O=tallyman"]\n'


def openssl(*args: object) -> None:
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Secured:
    """Elasticsearch. In the order of `all`."""

    product, plugins = "elasticsearch", ()

    all = ("password", "role", "certificate", "strangers", "setup")

    def __init__(self, home: Path, version: str):
        self.home = home
        self.config = home / "config"
        self.server = SearchServer(
            home / "server", self.product, version, self.plugins
        )
        self.server.login("admin", PASSWORD, self.config / "ca.crt")
        self.events = auditlog.read([LOG])
        self.agents: list[Agent] = []

    # ---- certificates ----

    def file(self, name: str) -> Path:
        return self.config / name

    def make_authority(self) -> None:
        openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2),
            *("-keyout", self.file("ca.key"), "-out", self.file("ca.crt")),
            *("-subj", "/O=tallyman/CN=authority"),
        )

    def make_certificate(self, name: str) -> None:
        request, extensions = self.file(f"{name}.csr"), self.file(f"{name}.ext")
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-out", request),
            *("-keyout", self.file(f"{name}.key"), "-subj", f"/O=tallyman/CN={name}"),
        )
        openssl(
            *("x509", "-req", "-in", request, "-days", 2, "-extfile", extensions),
            *("-CA", self.file("ca.crt"), "-CAkey", self.file("ca.key")),
            *("-CAcreateserial", "-out", self.file(f"{name}.crt")),
        )

    # ---- the server ----

    def start(self) -> None:
        if not shutil.which("openssl"):
            raise Skipped("openssl is not installed")
        self.config.mkdir(parents=True)
        self.make_authority()
        for name in ("node", "shipper"):
            self.make_certificate(name)
        options = [o for k, v in self.settings().items() for o in ("--set", f"{k}={v}")]
        self.server.start(
            "--config", self.config, "--auth", f"admin:{PASSWORD}", *options
        )

    def settings(self) -> dict[str, str]:
        """Writes the files that they speak of, too."""
        self.file("roles.yml").write_text(ROLES.format(names='"secured-*"'))
        self.file("users").write_text(f"admin:{HASH}\ntallyman:{HASH}\ninstaller:{HASH}\n")
        self.file("users_roles").write_text(
            "superuser:admin\nshipper:tallyman\ninstaller:installer\n")
        self.file("role_mapping.yml").write_text(MAPPING)
        ssl = "xpack.security.http.ssl"
        return {
            "xpack.security.enabled": "true",
            f"{ssl}.enabled": "true",
            f"{ssl}.key": "node.key",
            f"{ssl}.certificate": "node.crt",
            f"{ssl}.certificate_authorities": "ca.crt",
            f"{ssl}.client_authentication": "optional",
            "xpack.security.authc.realms.pki.p1.order": "1",
            "xpack.security.authc.realms.file.f1.order": "2",
            "xpack.license.self_generated.type": "trial",
        }

    def widen_role(self) -> None:
        roles = self.server.home / "node1/config/roles.yml"
        roles.write_text(ROLES.format(names='"secured-*", "other-*"'))

    def agent(self, name: str, index: str, **login: object) -> Agent:
        tls = {"ca_file": self.file("ca.crt"), **login.pop("tls", {})}
        search = output(self.server, index, tls=tls, **login)
        agent = Agent(self.home / name, LOG, {"search": search})
        self.agents.append(agent)
        return agent

    def balance(self, agent: Agent, index: str) -> str:
        documents = self.server.documents(f"{index}-*")
        return balance(self.events, documents, dead_letters(agent))

    @staticmethod
    def is_locked_out(agent: Agent, said: str) -> None:
        """It says why, and gives nothing up."""
        wait_until(f"tallyman says {said}", lambda: agent.said_ever(said))
        counters = agent.counters()
        require(counters["delivered"] == counters["dead"] == 0, f"counters: {counters}")

    # ---- scenarios ----

    def password(self) -> str:
        """The wrong one waits; the right one is written into its file, and taken."""
        secret = self.home / "secret"
        secret.write_text("wrong-password\n")
        agent = self.agent(
            "password",
            "secured",
            username="tallyman",
            password=f"${{file:{secret}}}",
        ).start()
        self.is_locked_out(agent, r"\b401\b")
        secret.write_text(PASSWORD + "\n")
        agent.wait_settled(len(self.events))
        agent.stop()
        return self.balance(agent, "secured")

    def role(self) -> str:
        """A role without the right to this index waits, until it has it."""
        agent = self.agent(
            "role", "other", username="tallyman", password=PASSWORD
        ).start()
        self.is_locked_out(agent, r"security_exception")
        self.widen_role()
        agent.wait_settled(len(self.events))
        agent.stop()
        return self.balance(agent, "other")

    def certificate(self) -> str:
        """No password: the client certificate says who it is. Without it, 401."""
        nobody = self.agent("nobody", "secured").start()
        self.is_locked_out(nobody, r"\b401\b")
        nobody.stop()
        agent = self.agent(
            "certificate",
            "secured",
            tls={
                "cert_file": self.file("shipper.crt"),
                "key_file": self.file("shipper.key"),
            },
        )
        counters = ship(agent, len(self.events))
        require(counters["duplicate"] == len(self.events), f"counters: {counters}")
        return self.balance(agent, "secured")

    def strangers(self) -> str:
        """A server of an authority that we do not know, and one that speaks TLS where
        we do not: both wait, and say what may be wrong; then it is set right."""
        login = {"username": "tallyman", "password": PASSWORD}
        for said, wrong in {
            "in tls.ca_file": {"tls": {"ca_file": self.file("shipper.crt")}},
            "an https:// address": {
                "hosts": [self.server.url.replace("https", "http")]
            },
        }.items():
            agent = self.agent("strangers", "secured", **login, **wrong).start()
            self.is_locked_out(agent, f" warn lane audit/search: .*{said}")
            agent.stop()
        agent = self.agent("strangers", "secured", **login)
        counters = ship(agent, len(self.events))
        require(counters["duplicate"] == len(self.events), f"counters: {counters}")
        return self.balance(agent, "secured")

    def close(self) -> None:
        for agent in self.agents:
            agent.kill()
        self.server.stop()

    def setup(self) -> str:
        """Who may ship may not set up, and is told what that takes; it is enough."""
        steps = {}
        for user, code in (("tallyman", 1), ("installer", 0)):
            agent = self.agent(f"as-{user}", "set", username=user, password=PASSWORD)
            done = subprocess.run(
                [PROGRAM, "setup", "--json", "-c", agent.config],
                capture_output=True, text=True, timeout=60)
            require(done.returncode == code,
                    f"{user}: exit {done.returncode}: {done.stdout}{done.stderr}")
            require(PASSWORD not in done.stdout + done.stderr, "the password")
            steps[user] = json.loads(done.stdout)["steps"]
        templates = [s for s in steps["tallyman"] if "template" in s["what"]]
        require(all(s["outcome"] == "failed" and "403" in s["why"]
                    and "privilege manage_index_templates" in s["why"]
                    for s in templates), f"{templates}")
        made = [s for s in steps["installer"] if "template" in s["what"]]
        require(all(s["outcome"] == "created" for s in made), f"{made}")
        return f"{len(made)} templates refused to one and made by the other"


class SecuredOpenSearch(Secured):
    """The same with its security plugin, which says 401 in plain text."""

    all = ("password", "role", "certificate", "strangers")
    product = "opensearch"
    # The newest that fits a server that can be had.
    version = "2.19.4"
    plugins = ("org.opensearch.plugin:opensearch-security:2.19.4.0",)

    def write(self, kind: str, name: str, content: dict) -> None:
        path = self.config / f"opensearch-security/{name}.yml"
        path.parent.mkdir(exist_ok=True)
        meta = {"type": kind, "config_version": 2}
        path.write_text(json.dumps({"_meta": meta, **content}))

    @staticmethod
    def role_of(*patterns: str) -> dict:
        actions = ["create_index", "index"]
        actions += ["indices:admin/auto_create", "indices:admin/mapping/put"]
        allowed = {"index_patterns": patterns, "allowed_actions": actions}
        return {
            "cluster_permissions": ["cluster_monitor", "cluster_composite_ops"],
            "index_permissions": [allowed],
        }

    def settings(self) -> dict[str, str]:
        by_certificate = {
            "http_enabled": True,
            "order": 0,
            "http_authenticator": {
                "type": "clientcert",
                "config": {"username_attribute": "cn"},
                "challenge": False,
            },
            "authentication_backend": {"type": "noop"},
        }
        by_password = {
            "http_enabled": True,
            "order": 1,
            "http_authenticator": {"type": "basic", "challenge": True},
            "authentication_backend": {"type": "intern"},
        }
        ways = {"certificate": by_certificate, "password": by_password}
        self.write("config", "config", {"config": {"dynamic": {"authc": ways}}})
        users = {name: {"hash": HASH} for name in ("admin", "tallyman")}
        self.write("internalusers", "internal_users", users)
        self.write("roles", "roles", {"shipper": self.role_of("secured-*")})
        users = {"all_access": {"users": ["admin"]}}
        users["shipper"] = {"users": ["tallyman", "shipper"]}
        self.write("rolesmapping", "roles_mapping", users)
        security = "plugins.security"
        settings = {
            f"{security}.ssl.http.enabled": "true",
            f"{security}.ssl.http.clientauth_mode": "OPTIONAL",
            f"{security}.ssl.transport.enforce_hostname_verification": "false",
            f"{security}.allow_default_init_securityindex": "true",
            f"{security}.nodes_dn": "['CN=node,O=tallyman']",
            f"{security}.restapi.roles_enabled": "[all_access]",
        }
        for way in ("http", "transport"):
            settings[f"{security}.ssl.{way}.pemcert_filepath"] = "node.crt"
            settings[f"{security}.ssl.{way}.pemkey_filepath"] = "node.key"
            settings[f"{security}.ssl.{way}.pemtrustedcas_filepath"] = "ca.crt"
        return settings

    def widen_role(self) -> None:
        role = "/_plugins/_security/api/roles/shipper"
        self.server.ask("PUT", role, self.role_of("secured-*", "other-*"))
