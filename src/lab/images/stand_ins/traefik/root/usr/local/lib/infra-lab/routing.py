"""The dynamic configuration of Traefik: files of the file provider -> routers, middlewares and services."""

import os

import yaml
from rules import Rule, RuleError

MIDDLEWARES = {"forwardAuth", "redirectScheme", "headers"}
ROUTER_KEYS = {"rule", "entryPoints", "middlewares", "service", "priority", "tls"}


class Routing:
    """What is valid is used; what is not is named in `errors` and left out, as Traefik does."""

    def __init__(self, texts):
        self.errors, self.middlewares, self.services, self.routers = [], {}, {}, []
        http = {"middlewares": {}, "services": {}, "routers": {}}
        for name, text in texts.items():
            try:
                document = yaml.safe_load(text) or {}
                for kind, entries in http.items():
                    for key, value in ((document.get("http") or {}).get(kind) or {}).items():
                        if key in entries:
                            raise ValueError(f"{kind} {key} is already configured")
                        entries[key] = value
            except (yaml.YAMLError, ValueError, AttributeError, TypeError) as error:
                self.errors.append(f"{name}: {error}")
        for name, entry in http["middlewares"].items():
            kinds = set(entry or {})
            if len(kinds) == 1 and kinds <= MIDDLEWARES:
                self.middlewares[name] = entry
            else:
                self.errors.append(f"middleware {name}: {', '.join(sorted(kinds)) or 'nothing'} is not modelled by the lab's stand-in")
        for name, entry in http["services"].items():
            servers = ((entry or {}).get("loadBalancer") or {}).get("servers") or []
            self.services[name] = [server["url"] for server in servers if server.get("url")]
        for name, entry in http["routers"].items():
            self.add(name, entry or {})
        # The longest rule wins unless a priority is given.
        self.routers.sort(key=lambda router: -router["priority"])

    def add(self, name, entry):
        try:
            strange = set(entry) - ROUTER_KEYS
            if strange:
                raise ValueError(f"field not found, node: {', '.join(sorted(strange))}")
            wanted = [word.removesuffix("@file") for word in entry.get("middlewares") or []]
            service = str(entry.get("service", "")).removesuffix("@file")
            for word in wanted:
                if word not in self.middlewares:
                    raise ValueError(f"middleware \"{word}@file\" does not exist")
            if service not in self.services:
                raise ValueError(f"the service \"{service}@file\" does not exist")
            rule = Rule(entry.get("rule") or "")
            self.routers.append({
                "name": f"{name}@file", "rule": rule, "priority": entry.get("priority") or len(rule.text),
                "entryPoints": entry.get("entryPoints"), "middlewares": wanted, "service": service,
            })
        except (ValueError, RuleError) as error:
            self.errors.append(f"router {name}@file: {error}")

    def find(self, entry_point, request):
        for router in self.routers:
            if router["entryPoints"] in (None, []) or entry_point in router["entryPoints"]:
                if router["rule"](request):
                    return router
        return None


def texts(provider):
    """The files of a file provider: name -> text."""
    names = [provider["filename"]] if provider.get("filename") else []
    folder = provider.get("directory")
    if folder:
        for place, _, files in sorted(os.walk(folder)):
            names += [os.path.join(place, name) for name in sorted(files) if name.endswith((".yml", ".yaml"))]
    out = {}
    for name in names:
        with open(name) as file:
            out[name] = file.read()
    return out
