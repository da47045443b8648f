"""How Directus signs people in at OpenID Connect providers: `AUTH_PROVIDERS`, and the variables of each."""

import hashlib
import hmac
import json
import os
import secrets
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from openid_client import Client, OpenIdError, challenge, new_verifier


class Providers:
    def __init__(self, variable, fail):
        self.public, self.secret = variable("PUBLIC_URL").rstrip("/"), variable("SECRET").encode()
        self.clients, self.scopes = {}, {}
        for name in filter(None, (part.strip() for part in os.environ["AUTH_PROVIDERS"].split(","))):
            prefix = f"AUTH_{name.upper()}_"
            if variable(prefix + "DRIVER") != "openid":
                fail(f"the lab's stand-in knows the driver openid, not that of {name}")
            client = Client(*(variable(prefix + word) for word in ("ISSUER_URL", "CLIENT_ID", "CLIENT_SECRET")))
            self.clients[name], self.scopes[name] = client, variable(prefix + "SCOPE", "openid profile email")
            try:
                client.metadata()
            except OpenIdError as error:
                print(f"[OpenID] Failed to fetch provider config: {error}", file=sys.stderr)
                if os.environ.get(prefix + "ISSUER_DISCOVERY_MUST_SUCCEED") != "false":
                    fail(f"{prefix}ISSUER_DISCOVERY_MUST_SUCCEED is enabled and discovery failed, exiting")

    def answers(self, handler, path):
        """Whether the path was one of these."""
        name, _, rest = path.removeprefix("/auth/login/").partition("/")
        client = self.clients.get(name) if path.startswith("/auth/login/") else None
        if not client or rest not in ("", "callback"):
            return False
        query = {key: values[0] for key, values in parse_qs(urlsplit(handler.path).query).items()}
        if rest:
            self.finish(handler, name, client, query)
        else:
            self.begin(handler, name, client, bool(query.get("prompt")))
        return True

    def back(self, name):
        return f"{self.public}/auth/login/{name}/callback"

    def begin(self, handler, name, client, prompt):
        verifier = new_verifier()
        state = challenge(verifier)
        kept = self.sealed({"verifier": verifier, "prompt": prompt})
        try:
            more = {"nonce": state, "access_type": "offline", **({"prompt": "consent"} if prompt else {})}
            url = client.authorization_url(self.back(name), self.scopes[name], state, verifier, **more)
        except OpenIdError as error:
            print(f"[OpenID] {error}", file=sys.stderr)
            return handler.say(302, "", [("Location", f"{self.public}/admin/login?reason=SERVICE_UNAVAILABLE")])
        return handler.say(302, "", [("Set-Cookie", f"openid.{name}={kept}; Path=/; HttpOnly; SameSite=Lax"), ("Location", url)])

    def finish(self, handler, name, client, query):
        try:
            kept = self.opened(SimpleCookie(handler.headers.get("Cookie") or "")[f"openid.{name}"].value)
        except (KeyError, ValueError, CookieError):
            return handler.say(302, "", [("Location", f"{self.public}/admin/login?reason=INVALID_CREDENTIALS")])
        try:
            if query.get("state") != challenge(kept["verifier"]) or query.get("iss") != client.issuer or not query.get("code"):
                return self.refuse(handler, 401, "INVALID_CREDENTIALS", "Invalid user credentials.")
            who = client.profile(query["code"], self.back(name), kept["verifier"])
        except OpenIdError as error:
            print(f"[OpenID] {error}", file=sys.stderr)
            if error.error == "invalid_grant" and not kept["prompt"]:
                return handler.say(302, "", [("Location", "./?prompt=true")])
            return self.refuse(handler, 503, "SERVICE_UNAVAILABLE", f'Service "openid" is unavailable. Service returned unexpected response: {error}.')
        return handler.say(200, json.dumps({"data": {"access_token": secrets.token_urlsafe(16), "email": who.get("email")}}))

    @staticmethod
    def refuse(handler, status, code, message):
        handler.say(status, json.dumps({"errors": [{"message": message, "extensions": {"code": code}}]}))

    def sealed(self, value):
        text = urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
        return f"{text}.{hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()}"

    def opened(self, text):
        body, _, seal = text.partition(".")
        if not hmac.compare_digest(seal, hmac.new(self.secret, body.encode(), hashlib.sha256).hexdigest()):
            raise ValueError("not sealed here")
        return json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
