# SPDX-License-Identifier: Apache-2.0
"""The journey: a real API server logs what two users do, and a search finds it.

The manifests of conf/kubernetes are applied to that API server as well: its scheduler
has to put tallyman where the API server's pod is.
"""

import json
from collections import Counter
from pathlib import Path

import auditlog
from agent import TOP, Agent
from auditlog import Event, key_of_id
from scenarios import balance, dead_letters, output
from server import SearchServer, script
from waiting import require, wait_until

# Building it takes minutes on two cores, once.
BUILD_SECONDS = 1800
MANIFESTS = TOP / "conf/kubernetes"
# What the API server of a kubeadm cluster looks like to a scheduler.
API_SERVER_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "kube-apiserver-node-b",
        "namespace": "kube-system",
        "labels": {"component": "kube-apiserver", "tier": "control-plane"},
    },
    "spec": {
        "nodeName": "node-b",
        "hostNetwork": True,
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "kube-apiserver", "image": "kube-apiserver:test"}],
    },
}


class Journey:
    def __init__(self, home: Path, server: SearchServer):
        self.home, self.server = home, server
        self.cluster = home / "cluster"
        self.log = home / "log/audit.log"
        self.archive = home / "archive.log"
        self.agent: Agent | None = None

    def kubectl(self, *args: object) -> str:
        return script("apiserver", "kubectl", "--dir", self.cluster, *args)

    def play(self) -> None:
        """tallyman is there first; then comes the API server, lives, and goes."""
        script("apiserver", "build", seconds=BUILD_SECONDS)
        self.log.parent.mkdir(parents=True)
        self.agent = Agent(
            self.home,
            self.log,
            {
                "search": output(self.server, "journey"),
                "archive": {"type": "file", "path": self.archive},
            },
        ).start()
        script(
            "apiserver",
            "start",
            "--dir",
            self.cluster,
            "--audit-log",
            self.log,
            "--maxsize",
            1,
            "--maxbackup",
            100,
        )
        script("apiserver", "journey", "--dir", self.cluster)

    def deploy(self) -> str:
        """The manifests as they are: the API server takes them, and the pod lands
        beside the API server's, over the taint of a control plane."""
        pod = self.home / "kube-apiserver.json"
        pod.write_text(json.dumps(API_SERVER_POD))
        self.kubectl(
            "taint",
            "node",
            "node-b",
            "node-role.kubernetes.io/control-plane:NoSchedule",
        )
        self.kubectl("apply", "-f", pod)
        self.kubectl("apply", "-f", MANIFESTS / "namespace.yaml")
        self.kubectl("apply", "--dry-run=server", "-k", MANIFESTS)
        self.kubectl("apply", "-f", MANIFESTS / "secret.example.yaml")
        self.kubectl("apply", "-k", MANIFESTS)
        self.kubectl(
            "-n",
            "tallyman",
            "rollout",
            "status",
            "--timeout",
            "60s",
            "deployment/tallyman",
        )
        where = self.kubectl(
            "-n", "tallyman", "get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"
        )
        require(where == "node-b", f"the pod is on '{where}', the API server on node-b")
        # While no API server's pod is there, tallyman has nowhere to be.
        self.kubectl("-n", "kube-system", "delete", "pod", "kube-apiserver-node-b")
        self.kubectl("-n", "tallyman", "delete", "pod", "--all")
        wait_until(
            "a pod without a place",
            lambda: "Unschedulable"
            in self.kubectl(
                "-n",
                "tallyman",
                "get",
                "pods",
                "-o",
                "jsonpath={.items[*].status.conditions[*].reason}",
            ),
        )
        self.kubectl("delete", "-k", MANIFESTS)
        return "applied; scheduled beside the API server's pod, and nowhere without it"

    def find(self) -> str:
        """The API server is gone, its files final: what they hold, a search finds."""
        script(
            "apiserver", "burst", "--dir", self.cluster, "--rate", 200, "--seconds", 5
        )
        script("apiserver", "stop", "--dir", self.cluster)
        files = auditlog.chain(self.log)
        events = auditlog.read(files)
        lines = sum(file.read_bytes().count(b"\n") for file in files)
        require(lines == len(events), "the API server wrote an event twice")
        require(len(files) > 2, f"it has not rotated: {files}")
        self.agent.wait_settled(lines)
        self.agent.wait_settled(lines, output="archive")
        self.agent.stop()
        require(
            self.archive.read_bytes() == b"".join(f.read_bytes() for f in files),
            "the archive is not the files in their order",
        )
        text = balance(
            events, self.server.documents("journey-*"), dead_letters(self.agent)
        )
        return "\n".join(
            [
                f"{text} rotations={len(files) - 1}",
                self.actions("jai", events),
                self.actions("veeru", events),
            ]
        )

    def actions(self, user: str, events: dict[str, Event]) -> str:
        """A user's dealings with secrets, one line per verb and answer."""
        logged = {
            key: event.body
            for key, event in events.items()
            if event.user == user
            and event.body["stage"] == "ResponseComplete"
            and event.body.get("objectRef", {}).get("resource") == "secrets"
        }
        found = {
            key_of_id(i): source
            for i, source in self.server.documents(
                "journey-*",
                user__username__keyword=user,
                stage__keyword="ResponseComplete",
                objectRef__resource__keyword="secrets",
            )
        }
        require(
            found.keys() == logged.keys(),
            f"{user}: a search finds {len(found)} actions, the log has {len(logged)}",
        )
        counts = Counter(
            (e["verb"], e["responseStatus"]["code"]) for e in found.values()
        )
        require(
            counts
            == Counter(
                (e["verb"], e["responseStatus"]["code"]) for e in logged.values()
            ),
            f"{user}: not the log's actions",
        )
        require(counts, f"{user} did nothing to secrets")
        return f"  {user}: secrets " + ", ".join(
            f"{verb} {code}: {count}" for (verb, code), count in sorted(counts.items())
        )

    def close(self) -> None:
        if self.agent:
            self.agent.kill()
        if self.cluster.exists():
            script("apiserver", "stop", "--dir", self.cluster)
