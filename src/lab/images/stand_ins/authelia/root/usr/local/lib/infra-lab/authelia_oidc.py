"""Authelia as an OpenID Connect provider: clients, codes and tokens as it is configured, signed with its own RSA key."""

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from urllib.parse import parse_qsl, unquote, urlencode

from authelia_store import duration, verified

CLIENT = {
    "client_id", "client_name", "client_secret", "public", "redirect_uris", "scopes", "grant_types", "response_types", "response_modes", "authorization_policy",
    "consent_mode", "pre_configured_consent_duration", "require_pkce", "pkce_challenge_method", "token_endpoint_auth_method", "id_token_signed_response_alg",
    "access_token_signed_response_alg", "userinfo_signed_response_alg", "audience", "claims_policy", "lifespan",
}
LEVELS = {"one_factor": 1, "two_factor": 2}
METHODS = ("client_secret_basic", "client_secret_post")
SCOPES = ["openid", "groups", "profile", "email"]
CODE_SECONDS, TOKEN_SECONDS = 60, 3600
SHORTEST_STATE = 8
# DigestInfo of SHA-256, RFC 8017.
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


def check(config):
    """What Authelia says of a configuration that it does not start with."""
    oidc = config.get("identity_providers.oidc")
    if oidc is None:
        return
    where = "Configuration: identity_providers: oidc:"
    config.need("identity_providers.oidc.hmac_secret")
    keys = oidc.get("jwks") or []
    if not any(key.get("algorithm", "RS256") == "RS256" for key in keys):
        config.errors.append(f"{where} jwks: keys: must at least have one key supporting the 'RS256' algorithm but only has {len(keys)}")
    for n, key in enumerate(keys, 1):
        try:
            Key(str(key.get("key") or ""))
        except (ValueError, IndexError):
            config.errors.append(f"{where} jwks: key #{n}: option 'key' must be a valid private key but the provided data is malformed")
    clients = oidc.get("clients") or []
    if not clients:
        config.errors.append(f"{where} option 'clients' must have one or more clients configured")
    ids = [client.get("client_id") for client in clients]
    for client in clients:
        here = f"{where} clients: client '{client.get('client_id')}':"
        for key in set(client) - CLIENT:
            config.errors.append(f"{here} configuration key not expected, or not known to the lab's stand-in: {key}")
        if not re.fullmatch(r"[A-Za-z0-9._~-]{1,100}", str(client.get("client_id") or "")) or ids.count(client.get("client_id")) > 1:
            config.errors.append(f"{here} option 'client_id' must be unique, of RFC3986 Unreserved Characters, and no longer than 100")
        if not str(client.get("client_secret") or "").startswith(("$argon2", "$pbkdf2")):
            config.errors.append(f"{here} option 'client_secret' must be a digest (the lab's stand-in knows argon2 and pbkdf2)")
        if not client.get("redirect_uris") or not all(":" in str(uri) for uri in client["redirect_uris"]):
            config.errors.append(f"{here} option 'redirect_uris' must be absolute addresses")
        policies = {*LEVELS, *(oidc.get("authorization_policies") or {})}
        if client.get("authorization_policy", "two_factor") not in policies:
            config.errors.append(f"{here} option 'authorization_policy' must be one of {sorted(policies)} but it's configured as '{client['authorization_policy']}'")
        if client.get("token_endpoint_auth_method", METHODS[0]) not in METHODS:
            config.errors.append(f"{here} option 'token_endpoint_auth_method' must be one of {METHODS}")


class Key:
    """An RSA private key, PKCS#1 or PKCS#8, read by hand: Python brings no cryptography of this kind."""

    def __init__(self, pem):
        found = re.fullmatch(r"\s*-----BEGIN (RSA )?PRIVATE KEY-----(.+)-----END (?:RSA )?PRIVATE KEY-----\s*", pem, re.S)
        if not found:
            raise ValueError("no private key")
        fields = self.sequence(base64.b64decode("".join(found[2].split())))
        if not found[1]:
            fields = self.sequence(fields[2])
        _, self.n, self.e, self.d = (int.from_bytes(field, "big") for field in fields[:4])
        self.size = (self.n.bit_length() + 7) // 8
        self.id = hashlib.sha256(self.n.to_bytes(self.size, "big")).hexdigest()[:6] + "-rs256"

    @classmethod
    def sequence(cls, data):
        """The values in a DER sequence; one that wraps it (an octet string) was taken off before."""
        _, body, _ = cls.element(data)
        out = []
        while body:
            _, value, body = cls.element(body)
            out.append(value)
        return out

    @staticmethod
    def element(data):
        length, at = data[1], 2
        if length & 0x80:
            at += length & 0x7F
            length = int.from_bytes(data[2:at], "big")
        if len(data) < at + length:
            raise ValueError("cut off")
        return data[0], data[at:at + length], data[at + length:]

    def public(self):
        number = lambda value: plain(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id, "n": number(self.n), "e": number(self.e)}

    def signed(self, claims):
        text = ".".join(plain(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": self.id, "typ": "JWT"}, claims))
        digest = SHA256_PREFIX + hashlib.sha256(text.encode()).digest()
        padded = b"\x00\x01" + b"\xff" * (self.size - len(digest) - 3) + b"\x00" + digest
        return text + "." + plain(pow(int.from_bytes(padded, "big"), self.d, self.n).to_bytes(self.size, "big"))


class Refused(Exception):
    """An error of RFC 6749, with its status."""

    def __init__(self, status, error, description):
        super().__init__(description)
        self.status, self.body = status, {"error": error, "error_description": description}


class Provider:
    def __init__(self, config):
        oidc = config.get("identity_providers.oidc")
        self.users, self.clients = config.users, {client["client_id"]: client for client in oidc["clients"]}
        self.key = Key(oidc["jwks"][0]["key"])
        self.lock, self.flows, self.consents, self.codes, self.tokens = threading.Lock(), {}, {}, {}, {}

    @staticmethod
    def discovery(issuer):
        return {
            "issuer": issuer, "jwks_uri": f"{issuer}/jwks.json",
            "authorization_endpoint": f"{issuer}/api/oidc/authorization", "token_endpoint": f"{issuer}/api/oidc/token", "userinfo_endpoint": f"{issuer}/api/oidc/userinfo",
            "response_types_supported": ["code"], "response_modes_supported": ["form_post", "query"], "grant_types_supported": ["authorization_code"],
            "scopes_supported": SCOPES, "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": list(METHODS), "code_challenge_methods_supported": ["S256"], "authorization_response_iss_parameter_supported": True,
        }

    def authorize(self, issuer, query, session):
        """Where the browser goes: to sign in, to consent, or back with a code."""
        asked = dict(parse_qsl(query))
        client = self.clients.get(asked.get("client_id"))
        if not client:
            raise Refused(401, "invalid_client", "Client authentication failed. The requested OAuth 2.0 Client does not exist.")
        back = asked.get("redirect_uri")
        if back not in client["redirect_uris"]:
            raise Refused(400, "invalid_request", "The 'redirect_uri' parameter does not match any of the OAuth 2.0 Client's pre-registered 'redirect_uris'.")
        state = asked.get("state", "")
        home = lambda **words: f"{back}{'&' if '?' in back else '?'}{urlencode({**words, 'iss': issuer, **({'state': state} if state else {})})}"
        scopes = asked.get("scope", "").split()
        if asked.get("response_type") != "code":
            return home(error="unsupported_response_type")
        if "openid" not in scopes or not set(scopes) <= set(client.get("scopes") or SCOPES):
            return home(error="invalid_scope")
        if len(state) < SHORTEST_STATE:
            return home(error="invalid_state")
        if (client.get("require_pkce") or asked.get("code_challenge")) and (not asked.get("code_challenge") or asked.get("code_challenge_method") != "S256"):
            return home(error="invalid_request")
        level = LEVELS.get(client.get("authorization_policy", "two_factor"), 2)
        if not session or session["level"] < level:
            return f"{issuer}/?flow=openid_connect&flow_id={self.flow(client, query, None)}"
        until = self.consents.get((session["name"], client["client_id"]), 0)
        if client.get("consent_mode") != "implicit" and until < time.time():
            return f"{issuer}/consent/openid/decision?flow=openid_connect&flow_id={self.flow(client, query, session['name'])}"
        code = "authelia_ac_" + secrets.token_urlsafe(24)
        with self.lock:
            self.codes[code] = {"client": client["client_id"], "asked": asked, "name": session["name"], "scopes": scopes, "ends": time.time() + CODE_SECONDS}
        return home(code=code, scope=" ".join(scopes))

    def flow(self, client, query, name):
        flow = secrets.token_hex(16)
        self.flows[flow] = (client, query, name)
        return flow

    def consent(self, issuer, asked, session):
        client, query, name = self.flows.pop(asked.get("flow_id"), (None, None, None))
        if not session or name != session["name"]:
            raise Refused(400, "invalid_request", "no such flow of this user")
        if not asked.get("consent"):
            raise Refused(403, "access_denied", "consent was denied")
        lasts = client.get("pre_configured_consent_duration") if asked.get("pre_configure") else None
        self.consents[(name, client["client_id"])] = time.time() + (duration(lasts) if lasts else CODE_SECONDS)
        return f"{issuer}/api/oidc/authorization?{query}"

    def token(self, issuer, form, authorization):
        asked, client = dict(parse_qsl(form)), self.authenticated(form, authorization)
        if asked.get("grant_type") != "authorization_code":
            raise Refused(400, "unsupported_grant_type", "only authorization_code is supported")
        with self.lock:
            code = self.codes.pop(asked.get("code"), None)
        if not code or code["client"] != client["client_id"] or code["ends"] < time.time() or code["asked"]["redirect_uri"] != asked.get("redirect_uri"):
            raise Refused(400, "invalid_grant", "The provided authorization grant is invalid, expired, revoked, or was issued to another client or address.")
        challenge = code["asked"].get("code_challenge")
        if challenge and plain(hashlib.sha256(asked.get("code_verifier", "").encode()).digest()) != challenge:
            raise Refused(400, "invalid_grant", "The PKCE code challenge did not match the code verifier.")
        now, token = int(time.time()), "authelia_at_" + secrets.token_urlsafe(24)
        self.tokens[token] = {"name": code["name"], "scopes": code["scopes"], "ends": now + TOKEN_SECONDS}
        # Since 4.39, who it is otherwise is asked of the userinfo endpoint.
        claims = {"iss": issuer, "aud": [client["client_id"]], "azp": client["client_id"], "sub": self.subject(code["name"]), "iat": now, "exp": now + TOKEN_SECONDS}
        if code["asked"].get("nonce"):
            claims["nonce"] = code["asked"]["nonce"]
        return {"access_token": token, "id_token": self.key.signed(claims), "token_type": "bearer", "expires_in": TOKEN_SECONDS, "scope": " ".join(code["scopes"])}

    def authenticated(self, form, authorization):
        """The client that proves itself in the way that it is configured with."""
        asked = dict(parse_qsl(form))
        if (authorization or "").startswith("Basic "):
            method, words = METHODS[0], base64.b64decode(authorization[6:] + "==").decode(errors="replace").split(":", 1)
            name, secret = (unquote(word) for word in (words + [""])[:2])
        else:
            method, name, secret = METHODS[1], asked.get("client_id"), asked.get("client_secret", "")
        client = self.clients.get(name)
        if not client or client.get("token_endpoint_auth_method", METHODS[0]) != method or not verified(secret, client["client_secret"]):
            raise Refused(401, "invalid_client", "Client authentication failed (e.g., unknown client, no client authentication included, or unsupported authentication method).")
        return client

    def userinfo(self, authorization):
        token = self.tokens.get((authorization or "").removeprefix("Bearer "))
        if not token or token["ends"] < time.time():
            raise Refused(401, "request_unauthorized", "The request could not be authorized.")
        user, scopes, name = self.users.get(token["name"], {}), token["scopes"], token["name"]
        claims = {"sub": self.subject(name)}
        if "profile" in scopes:
            claims |= {"preferred_username": name, "name": user.get("displayname", "")}
        if "email" in scopes:
            claims |= {"email": user.get("email", ""), "email_verified": True}
        if "groups" in scopes:
            claims["groups"] = user.get("groups") or []
        return claims

    @staticmethod
    def subject(name):
        text = hmac.new(b"subject", name.encode(), hashlib.sha256).hexdigest()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:32]))


def plain(data):
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
