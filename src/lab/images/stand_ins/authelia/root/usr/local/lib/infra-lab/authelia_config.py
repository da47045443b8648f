"""Authelia's configuration: read as strictly as Authelia does, and its access rules decided in its order."""

import ipaddress
import os
import re
from urllib.parse import urlsplit

import authelia_oidc
import yaml

LEVELS = {"bypass": 0, "one_factor": 1, "two_factor": 2, "deny": None}
# What Authelia 4.39 knows, as far as the stand-in does something with it or may safely pass over it. `...` ends the looking.
KNOWN = {
    "theme": ..., "default_2fa_method": ..., "certificates_directory": ..., "webauthn": ..., "duo_api": ..., "ntp": ...,
    "password_policy": ..., "telemetry": ..., "definitions": ..., "privacy_policy": ...,
    "server": {"address": ..., "buffers": ..., "timeouts": ..., "headers": ..., "asset_path": ..., "endpoints": ..., "disable_healthcheck": ...},
    "log": {"level": ..., "format": ..., "file_path": ..., "keep_stdout": ...},
    "totp": {"disable": ..., "issuer": ..., "algorithm": ..., "digits": ..., "period": ..., "skew": ..., "secret_size": ..., "disable_reuse_security_policy": ...},
    "identity_validation": {"reset_password": {"jwt_secret": ..., "jwt_lifespan": ..., "jwt_algorithm": ...}, "elevated_session": ...},
    "authentication_backend": {"password_reset": ..., "password_change": ..., "refresh_interval": ..., "file": {"path": ..., "watch": ..., "search": ..., "password": ..., "extra_attributes": ...}},
    "access_control": {"default_policy": ..., "networks": ..., "rules": ...},
    "session": {
        "secret": ..., "name": ..., "same_site": ..., "inactivity": ..., "expiration": ..., "remember_me": ..., "cookies": ...,
        "redis": {"host": ..., "port": ..., "username": ..., "password": ..., "database_index": ..., "maximum_active_connections": ..., "minimum_idle_connections": ..., "timeout": ..., "max_retries": ...},
    },
    "identity_providers": {
        "oidc": {
            "hmac_secret": ..., "jwks": ..., "clients": ..., "authorization_policies": ..., "claims_policies": ..., "scopes": ..., "lifespans": ..., "cors": ...,
            "enforce_pkce": ..., "minimum_parameter_entropy": ..., "enable_client_debug_messages": ...,
        },
    },
    "regulation": {"modes": ..., "max_retries": ..., "find_time": ..., "ban_time": ...},
    "storage": {
        "encryption_key": ..., "local": {"path": ...},
        "postgres": {"address": ..., "database": ..., "schema": ..., "username": ..., "password": ..., "timeout": ..., "tls": ...},
    },
    "notifier": {"disable_startup_check": ..., "template_path": ..., "filesystem": {"filename": ...}, "smtp": ...},
}
RULE = {"domain", "domain_regex", "policy", "subject", "networks", "resources", "methods"}
COOKIE = {"name", "domain", "authelia_url", "default_redirection_url", "same_site", "inactivity", "expiration", "remember_me"}
# Secrets that files named in the environment hold.
SECRETS = {
    "AUTHELIA_SESSION_SECRET": "session.secret",
    "AUTHELIA_SESSION_REDIS_PASSWORD": "session.redis.password",
    "AUTHELIA_STORAGE_ENCRYPTION_KEY": "storage.encryption_key",
    "AUTHELIA_STORAGE_POSTGRES_PASSWORD": "storage.postgres.password",
    "AUTHELIA_IDENTITY_VALIDATION_RESET_PASSWORD_JWT_SECRET": "identity_validation.reset_password.jwt_secret",
    "AUTHELIA_NOTIFIER_SMTP_PASSWORD": "notifier.smtp.password",
    "AUTHELIA_IDENTITY_PROVIDERS_OIDC_HMAC_SECRET": "identity_providers.oidc.hmac_secret",
}


class ConfigError(Exception):
    """Everything that is wrong, a line each."""


class Config:
    def __init__(self, paths, environ=os.environ):
        """Of several files, separated by commas, the last word counts for every key at the top."""
        self.errors, self.values = [], {}
        filters = environ.get("X_AUTHELIA_CONFIG_FILTERS", "").split(",")
        for path in paths.split(","):
            try:
                with open(path) as file:
                    text = file.read()
                self.values |= yaml.safe_load(filled(text) if "template" in filters else text) or {}
            except (OSError, yaml.YAMLError, ValueError) as error:
                raise ConfigError(f"failed to load configuration from file path '{path}': {error}") from error
        self.unknown(self.values, KNOWN, "")
        self.secrets(environ)
        self.check()
        self.rules = [Rule(self, n, entry) for n, entry in enumerate(self.get("access_control.rules") or [], 1)]
        self.users = self.read_users()
        if self.errors:
            raise ConfigError("\n".join(self.errors))

    def get(self, path, default=None):
        value = self.values
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return default if value is None else value

    def unknown(self, values, known, prefix):
        for key, value in values.items():
            if key not in known:
                self.errors.append(f"Configuration: configuration key not expected: {prefix}{key}")
            elif isinstance(known[key], dict) and isinstance(value, dict):
                self.unknown(value, known[key], f"{prefix}{key}.")

    def secrets(self, environ):
        for name, path in SECRETS.items():
            file = environ.get(f"{name}_FILE")
            if not file:
                continue
            if self.get(path):
                self.errors.append(f"Configuration: secrets: error loading secret into key '{path}': it's already defined in other configuration sources")
                continue
            try:
                with open(file) as stream:
                    text = stream.read().rstrip("\n")
            except OSError as error:
                self.errors.append(f"Configuration: secrets: error loading secret path {file} into key '{path}': {error.strerror}")
                continue
            *parents, last = path.split(".")
            values = self.values
            for key in parents:
                values = values.setdefault(key, {})
            values[last] = text

    def need(self, path, what="is required"):
        value = self.get(path)
        if not value:
            self.errors.append(f"Configuration: option '{path}' {what}")
        return value

    def check(self):
        self.need("session.secret")
        if len(str(self.need("storage.encryption_key") or "x" * 20)) < 20:
            self.errors.append("Configuration: storage: option 'encryption_key' must be 20 characters or longer")
        if not self.get("authentication_backend.password_reset", {}).get("disable"):
            self.need("identity_validation.reset_password.jwt_secret", "is required when the reset password functionality isn't disabled")
        self.need("authentication_backend.file.path")
        stores = [name for name in ("local", "postgres", "mysql") if self.get(f"storage.{name}")]
        if len(stores) != 1:
            self.errors.append(f"Configuration: storage: exactly one of 'local', 'mysql' or 'postgres' must be configured, not {stores}")
        if stores == ["postgres"]:
            for key in ("address", "database", "username", "password"):
                self.need(f"storage.postgres.{key}")
        notifiers = [name for name in ("filesystem", "smtp") if self.get(f"notifier.{name}")]
        if len(notifiers) != 1:
            self.errors.append(f"Configuration: notifier: exactly one of 'smtp' or 'filesystem' must be configured, not {notifiers}")
        self.check_cookies()
        authelia_oidc.check(self)
        default = self.get("access_control.default_policy", "deny")
        if default not in LEVELS:
            self.errors.append(f"Configuration: access control: option 'default_policy' must be one of {', '.join(map(repr, LEVELS))} but it's configured as '{default}'")
        if default in ("deny", "bypass") and not self.get("access_control.rules"):
            self.errors.append(f"Configuration: access control: 'default_policy' option '{default}' is invalid: when no rules are specified it must be 'two_factor' or 'one_factor'")

    def check_cookies(self):
        self.cookies = self.need("session.cookies") or []
        for n, cookie in enumerate(self.cookies, 1):
            where = f"Configuration: session: domain config #{n}"
            for key in set(cookie) - COOKIE:
                self.errors.append(f"{where}: configuration key not expected: {key}")
            domain, url = cookie.get("domain") or "", urlsplit(str(cookie.get("authelia_url") or ""))
            if "." not in domain or domain.startswith((".", "*")):
                self.errors.append(f"{where} (domain '{domain}'): option 'domain' is not a valid cookie domain")
            if url.scheme != "https" or not inside(url.hostname or "", domain):
                self.errors.append(f"{where} (domain '{domain}'): option 'authelia_url' must be an https URL that shares the cookie domain, not '{url.geturl()}'")

    def cookie_of(self, host):
        return next((cookie for cookie in self.cookies if inside(host, cookie["domain"])), None)

    def read_users(self):
        path = self.get("authentication_backend.file.path")
        if not path:
            return {}
        try:
            with open(path) as file:
                users = (yaml.safe_load(file) or {}).get("users") or {}
        except (OSError, yaml.YAMLError, AttributeError) as error:
            self.errors.append(f"Provider: user: error reading the authentication database: {path}: {error}")
            return {}
        if not users:
            self.errors.append(f"Provider: user: error reading the authentication database: {path}: no users found")
        for name, user in users.items():
            if not str(user.get("password") or "").startswith(("$argon2", "$pbkdf2")) or not user.get("displayname"):
                self.errors.append(f"Provider: user: {path}: the user '{name}' needs 'displayname' and an argon2 or pbkdf2 'password'")
        return users

    def decide(self, user, url, method, address):
        """The level that is needed (None: nobody may), and whether a rule that asks who it is decided."""
        for rule in self.rules:
            if rule.matches(user, url, method, address):
                return LEVELS[rule.policy], bool(rule.subjects)
        return LEVELS[self.get("access_control.default_policy", "deny")], False


class Rule:
    def __init__(self, config, number, entry):
        where = f"Configuration: access control: rule #{number}"
        for key in set(entry) - RULE:
            config.errors.append(f"{where}: configuration key not expected, or not known to the lab's stand-in: {key}")
        self.policy = entry.get("policy")
        if self.policy not in LEVELS:
            config.errors.append(f"{where}: option 'policy' must be one of {', '.join(map(repr, LEVELS))} but it's configured as '{self.policy}'")
        self.domains = [d.lower() for d in listed(entry.get("domain"))]
        self.domain_regexes = [re.compile(pattern) for pattern in listed(entry.get("domain_regex"))]
        if not self.domains and not self.domain_regexes:
            config.errors.append(f"{where}: option 'domain' or 'domain_regex' must be present but are both absent")
        self.resources = [re.compile(pattern) for pattern in listed(entry.get("resources"))]
        self.methods = listed(entry.get("methods"))
        self.subjects = [listed(subject) for subject in listed(entry.get("subject"))]
        for subject in sum(self.subjects, []):
            if not subject.startswith(("user:", "group:")):
                config.errors.append(f"{where}: 'subject' option '{subject}' is invalid: must start with 'user:' or 'group:'")
        if self.subjects and self.policy == "bypass":
            config.errors.append(f"{where}: 'policy' option 'bypass' is not supported when 'subject' option is configured")
        named = {entry["name"]: listed(entry["networks"]) for entry in config.get("access_control.networks") or []}
        named |= {name: listed(networks) for name, networks in (config.get("definitions.network") or {}).items()}
        networks = sum((named.get(network, [network]) for network in listed(entry.get("networks"))), [])
        self.networks = []
        for network in networks:
            try:
                self.networks.append(ipaddress.ip_network(network, strict=False))
            except ValueError:
                config.errors.append(f"{where}: 'networks' option '{network}' is neither a known name nor a network")

    def matches(self, user, url, method, address):
        host, target = url.hostname or "", url.path + ("?" + url.query if url.query else "")
        domain = any(host == d or (d.startswith("*.") and host.endswith(d[1:])) for d in self.domains)
        if not domain and not any(pattern.search(host) for pattern in self.domain_regexes):
            return False
        if self.resources and not any(pattern.search(target) for pattern in self.resources):
            return False
        if self.methods and method not in self.methods:
            return False
        if self.networks and not any(address in network for network in self.networks):
            return False
        # Whoever is not known yet may turn out to be the one that is meant.
        if not self.subjects or user is None:
            return True
        mine = {f"user:{user['name']}"} | {f"group:{group}" for group in user.get("groups") or []}
        return any(mine.issuperset(subject) for subject in self.subjects)


def filled(text):
    """The one thing of Authelia's file templates that is known here: `{{ secret "FILE" | mindent N "|" | msquote }}`."""

    def secret(found):
        with open(found[1]) as file:
            lines = file.read().strip().splitlines()
        return "|\n" + "\n".join(" " * int(found[2]) + line for line in lines)

    text = re.sub(r'\{\{ secret "([^"]+)" \| mindent (\d+) "\|" \| msquote \}\}', secret, text)
    if "{{" in text:
        raise ValueError("a template that is not modelled by the lab's stand-in")
    return text


def inside(host, domain):
    return host == domain or host.endswith("." + domain)


def listed(value):
    return [] if value is None else value if isinstance(value, list) else [value]
