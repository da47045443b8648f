"""A client of an OpenID Connect provider: discovery, the way to the sign-in, and a code for tokens. TLS is verified, as Node.js does."""

import base64
import hashlib
import json
import os
import secrets
import ssl
import urllib.error
import urllib.request
from urllib.parse import quote, urlencode

DISCOVERY = "/.well-known/openid-configuration"


class OpenIdError(Exception):
    """What went wrong, and the error that the provider named, if it did."""

    def __init__(self, message, error=None):
        super().__init__(message)
        self.error = error


class Client:
    def __init__(self, issuer, client_id, secret, method="client_secret_basic"):
        self.issuer, self.client_id, self.secret, self.method = issuer.removesuffix(DISCOVERY).rstrip("/"), client_id, secret, method

    def metadata(self):
        """The provider's own description; one that belongs to another issuer is refused."""
        found = ask(self.issuer + DISCOVERY)
        if str(found.get("issuer")).rstrip("/") != self.issuer:
            raise OpenIdError(f"unexpected issuer {found.get('issuer')}, not {self.issuer}")
        return found

    def authorization_url(self, redirect_uri, scope, state, verifier, **more):
        words = {
            "client_id": self.client_id, "scope": scope, "response_type": "code", "redirect_uri": redirect_uri, **more,
            "code_challenge": challenge(verifier), "code_challenge_method": "S256", "state": state,
        }
        return self.metadata()["authorization_endpoint"] + "?" + urlencode(words, quote_via=quote)

    def profile(self, code, redirect_uri, verifier):
        """Who a code stands for: the claims of the userinfo endpoint."""
        found = self.metadata()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        headers = {}
        if self.method == "client_secret_basic":
            pair = f"{quote(self.client_id, safe='')}:{quote(self.secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": self.client_id, "client_secret": self.secret}
        tokens = ask(found["token_endpoint"], urlencode(form).encode(), headers)
        return ask(found["userinfo_endpoint"], headers={"Authorization": f"Bearer {tokens['access_token']}"})


def new_verifier():
    return secrets.token_urlsafe(32)


def challenge(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def ask(url, body=None, headers=None):
    request = urllib.request.Request(url, body, headers or {})
    context = ssl.create_default_context()
    try:
        if os.environ.get("NODE_EXTRA_CA_CERTS"):
            context.load_verify_locations(os.environ["NODE_EXTRA_CA_CERTS"])
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            told = json.load(error)
        except ValueError:
            told = {}
        raise OpenIdError(f"{url}: {error.code} {told.get('error_description', '')}", told.get("error")) from error
    except (OSError, ValueError) as error:
        raise OpenIdError(f"{url}: {error}") from error
