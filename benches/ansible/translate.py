"""A plan of infra, as variables of the playbook beside this file: the same desired state, told to Ansible's modules.

    translate.py PLAN.json STATE.json FOLDER

PLAN.json is `infra plan --json` of a system of which nothing is there yet, STATE.json the lab's. FOLDER gets `hosts.json`
(an Ansible inventory) and a folder of stack files for each host. Secrets are not in a plan: their files are left out, which
spares Ansible some work.
"""

import json
import pathlib
import sys

plan, state = (json.load(open(path)) for path in sys.argv[1:3])
folder = pathlib.Path(sys.argv[3]).absolute()
LOGINS = {"pve": ("root", "192.168.1.10"), "intranet": ("infra", "192.168.1.20"), "extranet": ("infra", "10.10.10.2")}


def plain(content):
    """The text of a file, or none when a secret is in it."""
    parts = [part.get("text") for part in content]
    return None if None in parts else "".join(parts)


def mode(number):
    return format(number, "04o")


hosts = {
    name: {"directories": [], "files": [], "units": [], "packages": [], "ufw": [], "stacks": [], "datasets": [],
           "sysctls": [], "ansible_host": address, "ansible_user": user}
    for name, (user, address) in LOGINS.items()
}
api = {"guests": [], "levels": {}, "options": []}


def level(place):
    kind, value = ("cluster", "") if place == "cluster" else next(iter(place.items()))
    word = "vm" if kind == "guest" else kind
    return api["levels"].setdefault(f"{word} {value}", {"level": word, "of": value, "rules": [], "ip_sets": {}, "aliases": []})


def firewall(step):
    kind, what = next(iter(step.items()))
    if kind == "rule_add":
        rule = {key: value for key, value in what["rule"].items() if value is not None}
        rule["type"] = rule.pop("kind")
        rule["pos"] = len(level(what["level"])["rules"])
        rule.setdefault("enable", True)
        level(what["level"])["rules"].append(rule)
    elif kind == "ipset_create":
        level(what["level"])["ip_sets"][what["name"]] = {"name": what["name"], "comment": what["comment"], "cidrs": []}
    elif kind == "member_add":
        entry = {"cidr": what["cidr"], "nomatch": what["nomatch"]}
        level(what["level"])["ip_sets"][what["name"]]["cidrs"].append(entry)
    elif kind == "alias_create":
        level(what["level"])["aliases"].append({"name": what["name"], **what["alias"]})
    elif kind == "group_create":
        level({"group": what["name"]})
    elif kind == "options":
        api["options"].append({"level": level(what["level"])["level"], "set": what["set"]})


for change in plan["changes"]:
    kind, what = next(iter(change["operation"].items()))
    host = hosts[change["host"]]
    if kind == "write_file":
        text = plain(what["content"])
        if text is not None:
            host["files"].append({"path": what["path"], "content": text, "owner": what["owner"], "group": what["group"],
                                  "mode": mode(what["mode"])})
    elif kind == "make_directory":
        host["directories"].append({"path": what["path"], "owner": what["owner"], "group": what["group"], "mode": mode(what["mode"])})
    elif kind == "set_unit":
        host["units"].append({"name": what["unit"], "enabled": what["enabled"]})
    elif kind == "set_sysctl":
        host["sysctls"].append(what)
    elif kind == "create_dataset":
        host["datasets"].append({"name": what["dataset"], "properties": what["properties"]})
    elif kind == "install_packages":
        host["packages"] = what["packages"]
    elif kind == "create_guest":
        api["guests"].append({"vmid": what["vmid"], **what["params"]})
    elif kind in ("firewall", "enable_firewall"):
        for step in what["steps"]:
            firewall(step)
    elif kind == "ufw":
        for step in what:
            rule = step.get("append") if isinstance(step, dict) else None
            for ports in rule["ports"] if rule else []:
                host["ufw"].append({"rule": rule["action"], "proto": rule["proto"], "port": str(ports["first"]),
                                    "from": rule["from"] or "any", "comment": rule["comment"]})
    elif kind == "deploy_stack":
        stack = {"name": what["stack"], "files": []}
        for file in what["files"]:
            text = plain(file["content"])
            if text is not None:
                kept = folder / "files" / change["host"] / what["stack"] / file["path"]
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(text)
                stack["files"].append({"path": file["path"], "from": str(kept), "mode": mode(file.get("mode", 0o644))})
        host["stacks"].append(stack)

for place in api["levels"].values():
    place["ip_sets"] = list(place["ip_sets"].values())
address, port = state["api"].rsplit(":", 1)
user, token = state["token_id"].split("!")
shared = {
    "api": api,
    "proxmox": {"api_host": address, "api_port": port, "api_user": user, "api_token_id": token,
                "api_token_secret": state["token_secret"], "validate_certs": False},
    "ansible_ssh_private_key_file": state["operator_key"],
}
hosts["api"] = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
inventory = {"all": {"vars": shared, "hosts": hosts, "children": {"guests": {"hosts": {"intranet": {}, "extranet": {}}}}}}
(folder / "hosts.json").write_text(json.dumps(inventory, indent=1))
