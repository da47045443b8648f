"""The embedded outpost and the sign-in: who has a session, who is sent where."""

import base64
import binascii
import hmac
import html
import json
import secrets
import threading
import urllib.parse
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from blueprint import hashed
from postgres import PostgresError
from world import database, every, redis

PREFIX = "/outpost.goauthentik.io"
FLOW = "/if/flow/default-authentication-flow/"
LIFETIME = "86400"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            self.answer()
        except (OSError, PostgresError) as error:
            self.say(500, f"{error}\n")

    do_HEAD = do_POST = do_GET

    def answer(self):
        where = urllib.parse.urlsplit(self.path)
        self.asked = dict(urllib.parse.parse_qsl(where.query))
        path = where.path
        if path in ("/-/health/live/", "/-/health/ready/"):
            database().query("SELECT 1")
            redis("PING")
            return self.say(200, "")
        if path == f"{PREFIX}/auth/traefik":
            return self.decide()
        if path == f"{PREFIX}/ping":
            return self.say(204, "")
        if path == f"{PREFIX}/callback":
            return self.come_back()
        if path == "/application/o/authorize/":
            return self.authorize()
        if path == FLOW:
            return self.sign_in()
        if path == "/":
            return self.lead(FLOW)
        return self.say(404, "not modelled by the lab's stand-in\n")

    def decide(self):
        """Answers for the proxy: 200 with names, or the way to the sign-in."""
        connection = database()
        host = self.headers.get("X-Forwarded-Host", "")
        found = self.provider(connection, host)
        if found is None:
            return self.say(404, f"no application for {host}\n")
        key, provider, outpost = found
        apps = every(connection, "authentik_core.application").items()
        app, slug = next(((at, one["slug"]) for at, one in apps if one.get("provider") == key), (None, ""))
        if not slug:
            return self.say(403, "no application has this provider\n")
        user = self.visitor(connection, f"authentik_proxy_{provider['name']}") or self.basic(connection, provider)
        groups = self.groups(connection, user)
        if user and not self.passes(connection, app, groups):
            # Nobody who may not gets a session for it.
            user = None
        if user is None:
            back = f"{provider['external_host']}{PREFIX}/callback?X-authentik-auth-callback=true"
            state = secrets.token_urlsafe(16)
            rd = self.headers.get("X-Forwarded-Uri", "/")
            redis("SET", f"state:{state}", json.dumps({"rd": rd, "provider": provider["name"]}), "EX", "600")
            query = urllib.parse.urlencode({"client_id": provider["name"], "redirect_uri": back, "response_type": "code", "state": state})
            base = (outpost.get("config") or {}).get("authentik_host", "").rstrip("/")
            return self.lead(f"{base}/application/o/authorize/?{query}")
        name = user["username"]
        return self.say(200, "", {
            "X-authentik-username": name, "X-authentik-name": user.get("name", name), "X-authentik-email": user.get("email", f"{name}@localhost"),
            "X-authentik-groups": "|".join(groups.values()), "X-authentik-uid": hashed(name), "X-authentik-meta-app": slug,
        })

    def groups(self, connection, user):
        """Names of the groups in which somebody is, by key."""
        key = json.dumps({"username": (user or {}).get("username")}, sort_keys=True)
        return {at: one["name"] for at, one in every(connection, "authentik_core.group").items() if key in one.get("users", [])}

    def passes(self, connection, app, groups):
        """Whether one of an application's bindings lets somebody of these groups in; without bindings everybody passes."""
        bindings = every(connection, "authentik_policies.policybinding").values()
        wanted = [binding["group"] for binding in bindings if binding["target"] == app]
        return not wanted or any(group in groups for group in wanted)

    def provider(self, connection, host):
        """The provider for a host name, if the embedded outpost has it."""
        outposts = every(connection, "authentik_outposts.outpost").values()
        outpost = next((one for one in outposts if one.get("managed") == "goauthentik.io/outposts/embedded"), None)
        for key, provider in every(connection, "authentik_providers_proxy.proxyprovider").items():
            if outpost and key in outpost.get("providers", []):
                if urllib.parse.urlsplit(provider["external_host"]).netloc == host and provider.get("mode") == "forward_single":
                    return key, provider, outpost
        return None

    def visitor(self, connection, cookie):
        """Whose session the request's cookie is."""
        jar = SimpleCookie(self.headers.get("Cookie", ""))
        name = redis("GET", f"{cookie}:{jar[cookie].value}") if cookie in jar else None
        return self.user(connection, name) if name else None

    def user(self, connection, name):
        users = every(connection, "authentik_core.user").values()
        return next((user for user in users if user["username"] == name), None)

    def basic(self, connection, provider):
        """`Authorization: Basic` with an app password, where the provider intercepts it."""
        kind, _, words = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic" or not provider.get("intercept_header_auth", True):
            return None
        try:
            name, _, key = base64.b64decode(words, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        user = self.user(connection, name)
        owner = json.dumps({"username": name}, sort_keys=True)
        for token in every(connection, "authentik_core.token").values():
            if token.get("intent") == "app_password" and token.get("user") == owner and hmac.compare_digest(token.get("key", ""), key):
                return user
        return None

    def authorize(self):
        user = self.visitor(database(), "authentik_session")
        if user is None:
            return self.lead(f"{FLOW}?{urllib.parse.urlencode({'next': self.path})}")
        code = secrets.token_urlsafe(16)
        redis("SET", f"code:{code}", user["username"], "EX", "60")
        back = self.asked["redirect_uri"]
        return self.lead(f"{back}&{urllib.parse.urlencode({'code': code, 'state': self.asked.get('state', '')})}")

    def sign_in(self):
        if self.command != "POST":
            fields = '<input name="uid_field"><input name="password" type="password"><button>Log in</button>'
            return self.say(200, f'<title>authentik</title><form method="post" action="{html.escape(self.path)}">{fields}</form>')
        words = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        given = dict(urllib.parse.parse_qsl(words))
        user = self.user(database(), given.get("uid_field", ""))
        known = (user or {}).get("password") or secrets.token_hex()
        if not hmac.compare_digest(known, hashed(given.get("password", ""))):
            return self.say(401, "Failed to authenticate.\n")
        where = self.asked.get("next", "/")
        return self.lead(where if where.startswith("/") and not where.startswith("//") else "/", self.session("authentik_session", user["username"]))

    def come_back(self):
        kept = redis("GET", f"state:{self.asked.get('state', '')}")
        name = redis("GET", f"code:{self.asked.get('code', '')}")
        if not kept or not name:
            return self.say(400, "Invalid state\n")
        redis("DEL", f"code:{self.asked['code']}")
        kept = json.loads(kept)
        return self.lead(kept["rd"], self.session(f"authentik_proxy_{kept['provider']}", name))

    def session(self, cookie, name):
        key = secrets.token_urlsafe(24)
        redis("SET", f"{cookie}:{key}", name, "EX", LIFETIME)
        return {"Set-Cookie": f"{cookie}={key}; Path=/; HttpOnly; Secure; SameSite=Lax"}

    def lead(self, where, headers=None):
        return self.say(302, "", {"Location": where, **(headers or {})})

    def say(self, status, text, headers=None):
        data = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/html" if text.startswith("<") else "text/plain", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


def serve(port):
    server = ThreadingHTTPServer(("0.0.0.0", port), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
