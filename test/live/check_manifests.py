#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds conf/kubernetes and conf/systemd against conf/tallyman-cluster.yaml.

check_manifests.py            exit 0, 1 with what is wrong, 77 without python3-yaml
check_manifests.py --write    copy conf/tallyman-cluster.yaml into the ConfigMap
check_manifests.py --init     print what the init container runs
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

try:
    import yaml
except ImportError:
    print("skipped: python3-yaml is not installed")
    sys.exit(77)

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / "conf/kubernetes"
CONFIG = TOP / "conf/tallyman-cluster.yaml"
UNIT = TOP / "conf/systemd/tallyman.service"
CONFIG_KEY = "  tallyman.yaml: |\n"
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}

wrong: list[str] = []
checked = 0


def check(true: object, what: str) -> None:
    global checked
    checked += 1
    if not true:
        wrong.append(what)


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", text).groups()
    return int(number) * UNITS[unit]


def write_config_map() -> None:
    path = FOLDER / "configmap.yaml"
    head = path.read_text().partition(CONFIG_KEY)[0]
    text = "".join(
        f"    {line}".rstrip() + "\n" for line in CONFIG.read_text().splitlines()
    )
    path.write_text(head + CONFIG_KEY + text)


def manifests() -> dict[str, dict]:
    """Every object by its kind; all of them named and placed alike."""
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    listed = set(kustomization["resources"])
    there = {p.name for p in FOLDER.glob("*.yaml")} - {
        "kustomization.yaml",
        "secret.example.yaml",
    }
    check(listed == there, f"kustomization.yaml lists {listed}, the folder has {there}")
    found = {}
    for name in [*sorted(listed & there), "secret.example.yaml"]:
        for item in yaml.safe_load_all((FOLDER / name).read_text()):
            found[item["kind"]] = item
            metadata = item["metadata"]
            check(metadata["name"] == "tallyman", f"{name}: not named tallyman")
            check(
                item["kind"] == "Namespace" or metadata["namespace"] == "tallyman",
                f"{name}: not in the namespace tallyman",
            )
    return found


def check_placement(deployment: dict, pod: dict) -> None:
    check(deployment["spec"]["replicas"] == 1, "more than one replica")
    check(
        deployment["spec"]["strategy"] == {"type": "Recreate"},
        "the strategy is not Recreate",
    )
    terms = pod["affinity"]["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    check(
        terms
        == [
            {
                "labelSelector": {"matchLabels": {"component": "kube-apiserver"}},
                "namespaces": ["kube-system"],
                "topologyKey": "kubernetes.io/hostname",
            }
        ],
        "not placed beside the API server's pod",
    )
    check(
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}
        in pod["tolerations"],
        "the taint of a control plane is not tolerated",
    )


def check_security(pod: dict, agent: dict, account: dict) -> None:
    check(pod["securityContext"]["runAsNonRoot"] is True, "the pod may run as root")
    check(
        pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"},
        "no seccomp",
    )
    check(
        agent["securityContext"]
        == {
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "allowPrivilegeEscalation": False,
        },
        "the agent's securityContext is not the strict one",
    )
    for container in pod["initContainers"]:
        check(
            set(container["securityContext"]["capabilities"].get("add", ()))
            <= {"CHOWN", "FOWNER"},
            f"{container['name']} has more capabilities than it needs",
        )
    check(
        pod["automountServiceAccountToken"] is False
        and account["automountServiceAccountToken"] is False,
        "a token is mounted",
    )
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        check(not pod.get(field), f"{field} is on")


def check_volumes(pod: dict, agent: dict, config: dict) -> None:
    volumes = {v["name"]: v for v in pod["volumes"]}
    mounts = {PurePosixPath(m["mountPath"]): m for m in agent["volumeMounts"]}

    def host_path(path: PurePosixPath) -> dict:
        return (
            volumes[mounts[path]["name"]].get("hostPath", {}) if path in mounts else {}
        )

    for trail in config["trails"].values():
        log = PurePosixPath(trail["path"])
        check(
            host_path(log.parent) == {"path": str(log.parent), "type": "Directory"},
            f"{log.parent} is not the host's own directory",
        )
        check(
            log.parent in mounts and mounts[log.parent].get("readOnly") is True,
            f"{log.parent} is not mounted read-only",
        )
        check(log not in mounts, f"{log} is mounted as a file: rotation fails")
    state = PurePosixPath(config["state_dir"])
    check(
        host_path(state) == {"path": str(state), "type": "DirectoryOrCreate"},
        f"{state} is not on the host",
    )
    check(
        state in mounts and not mounts[state].get("readOnly"), f"{state} is read-only"
    )
    writable = [p for p, m in mounts.items() if not m.get("readOnly")]
    for name, output in config["outputs"].items():
        if output["type"] == "file":
            path = PurePosixPath(output["path"])
            check(
                any(w in path.parents for w in writable),
                f"output {name}: cannot write {path}",
            )


def check_config(text: str, config: dict, pod: dict, secret_text: str) -> None:
    check(
        text == CONFIG.read_text(),
        "the ConfigMap is not conf/tallyman-cluster.yaml: check_manifests.py --write",
    )
    drain = seconds(config.get("drain_timeout", "10s"))
    check(
        pod["terminationGracePeriodSeconds"] > drain,
        "the pod is killed while it drains",
    )
    files = re.findall(
        r"\$\{file:([^}]+)\}|(?:ca_file|cert_file|key_file): *([^,}\s]+)", text
    )
    sources = next(
        v["projected"]["sources"] for v in pod["volumes"] if "projected" in v
    )
    items = next(s["secret"]["items"] for s in sources if "secret" in s)
    keys = {"/etc/tallyman/" + item["path"]: item["key"] for item in items}
    for path in (a or b for a, b in files):
        check(path in keys, f"{path} is not mounted")
        check(
            f" {keys.get(path)}:" in secret_text,
            f"secret.example.yaml has no key for {path}",
        )
    program = os.environ.get("TALLYMAN", "")
    if program:
        with tempfile.TemporaryDirectory() as folder:
            # Secrets are read by `check`, so they have to be somewhere.
            for path in re.findall(r"(?m)^[^#]*\$\{file:([^}]+)\}", text):
                text = text.replace(path, f"{folder}/secret")
                (Path(folder) / "secret").write_text("x")
            (Path(folder) / "tallyman.yaml").write_text(text)
            done = subprocess.run(
                [program, "check", f"{folder}/tallyman.yaml"],
                capture_output=True,
                text=True,
            )
        check(done.returncode == 0, f"tallyman check: {done.stderr.strip()}")


def check_unit(config: dict) -> None:
    unit: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            unit.setdefault(key, []).append(value)
    check(
        unit["ExecStart"][0].endswith("/tallyman run -c /etc/tallyman/tallyman.yaml"),
        "the unit starts something else",
    )
    check(
        config["state_dir"] == "/var/lib/" + unit["StateDirectory"][0],
        "StateDirectory is not state_dir",
    )
    check(
        seconds(unit["TimeoutStopSec"][0])
        > seconds(config.get("drain_timeout", "10s")),
        "the unit is killed while it drains",
    )
    check(
        unit["RestartPreventExitStatus"] == ["2 3"], "restarts on a wrong configuration"
    )
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        check(
            unit[key] == ["CAP_DAC_READ_SEARCH"],
            f"{key} is not CAP_DAC_READ_SEARCH alone",
        )
    check(
        unit["NoNewPrivileges"] == ["yes"] and unit["ProtectSystem"] == ["strict"],
        "the unit is not confined",
    )
    if shutil.which("systemd-analyze"):
        with tempfile.TemporaryDirectory() as folder:
            # A program that is there, since tallyman need not be installed here.
            copy = Path(folder) / UNIT.name
            copy.write_text(UNIT.read_text().replace(unit["ExecStart"][0], "/bin/true"))
            done = subprocess.run(
                ["systemd-analyze", "verify", copy], capture_output=True, text=True
            )
        check(
            done.returncode == 0 and not done.stderr,
            f"systemd-analyze: {done.stderr.strip()}",
        )


def main() -> int:
    if sys.argv[1:] == ["--write"]:
        write_config_map()
    elif sys.argv[1:] == ["--init"]:
        deployment = yaml.safe_load((FOLDER / "deployment.yaml").read_text())
        print(deployment["spec"]["template"]["spec"]["initContainers"][0]["args"][0])
        return 0
    elif sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    found = manifests()
    deployment, text = found["Deployment"], found["ConfigMap"]["data"]["tallyman.yaml"]
    pod, config = deployment["spec"]["template"]["spec"], yaml.safe_load(text)
    agent = next(c for c in pod["containers"] if c["name"] == "tallyman")
    check_placement(deployment, pod)
    check_security(pod, agent, found["ServiceAccount"])
    check_volumes(pod, agent, config)
    check_config(text, config, pod, (FOLDER / "secret.example.yaml").read_text())
    check_unit(config)
    for what in wrong:
        print(f"check_manifests: {what}", file=sys.stderr)
    print(f"{checked - len(wrong)} of {checked} rules hold")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
