"""Blueprints of Authentik: their tags, and the models that forward authentication needs."""

import hashlib
import json
import os

import yaml
from world import drop, every, keep

MODELS = {
    "authentik_core.user", "authentik_core.token", "authentik_core.application", "authentik_core.group",
    "authentik_providers_proxy.proxyprovider", "authentik_outposts.outpost", "authentik_policies.policybinding",
}
# What comes with Authentik itself.
FLOWS = {
    "default-authentication-flow", "default-provider-authorization-implicit-consent", "default-provider-authorization-explicit-consent",
    "default-provider-invalidation-flow", "default-invalidation-flow",
}
INCLUDED = {"Default - Provider authorization flow (implicit consent)", "Default - Provider invalidation flow", "Default - Authentication flow"}


class BlueprintError(Exception):
    pass


class Tag:
    def __init__(self, name, value):
        self.name, self.value = name, value


class Loader(yaml.SafeLoader):
    pass


def tag(loader, suffix, node):
    value = loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else loader.construct_scalar(node)
    return Tag(suffix, value)


Loader.add_multi_constructor("!", tag)


def hashed(password):
    return hashlib.sha256(password.encode()).hexdigest()


class Blueprint:
    def __init__(self, text, connection):
        self.connection = connection
        self.document = yaml.load(text, Loader)
        if not isinstance(self.document, dict) or self.document.get("version") != 1:
            raise BlueprintError("Unsupported version")
        self.ids = {}

    def resolved(self, value):
        if isinstance(value, dict):
            return {key: self.resolved(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.resolved(inner) for inner in value]
        if not isinstance(value, Tag):
            return value
        words = value.value if isinstance(value.value, list) else [value.value]
        if value.name == "KeyOf":
            if words[0] not in self.ids:
                raise BlueprintError(f"KeyOf: failed to find entry with `id` of `{words[0]}`")
            return self.ids[words[0]]
        if value.name == "File":
            try:
                with open(words[0]) as file:
                    return file.read().strip()
            except OSError as error:
                raise BlueprintError(f"!File {words[0]}: {error.strerror}") from error
        if value.name == "Env":
            return os.environ.get(words[0], words[1] if len(words) > 1 else None)
        if value.name == "Find" and words[0] == "authentik_flows.flow":
            slug = dict(words[1:]).get("slug")
            if slug not in FLOWS:
                raise BlueprintError(f"no flow {slug}")
            return slug
        if value.name == "Find" and words[0] in ("authentik_core.user", "authentik_core.group"):
            key = json.dumps(dict(words[1:]), sort_keys=True)
            if key not in every(self.connection, words[0]):
                raise BlueprintError(f"{words[0]}: nothing found for {key}")
            return key
        raise BlueprintError(f"the tag !{value.name} is not modelled by the lab's stand-in")

    def apply(self):
        connection = self.connection
        for entry in self.document.get("entries") or []:
            model, attrs = entry["model"], self.resolved(entry.get("attrs") or {})
            if model == "authentik_blueprints.metaapplyblueprint":
                if attrs.get("required", True) and attrs["identifiers"]["name"] not in INCLUDED:
                    raise BlueprintError("Required blueprint does not exist")
                continue
            if model not in MODELS:
                raise BlueprintError(f"the model {model} is not modelled by the lab's stand-in")
            named = self.resolved(entry["identifiers"])
            key = json.dumps(named, sort_keys=True)
            if model == "authentik_core.user" and "password" in attrs:
                attrs["password"] = hashed(attrs["password"])
            if entry.get("state", "present") == "absent":
                drop(connection, model, key)
                continue
            if entry.get("state", "present") == "created" and key in every(connection, model):
                attrs = {}
            keep(connection, model, key, {**named, **attrs})
            if entry.get("id"):
                self.ids[entry["id"]] = key
