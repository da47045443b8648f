"""Asks for a page through the proxy, first as a stranger, then as `infra-check`: `session.py PROXY URL`."""

import base64
import http.client
import sys
import urllib.parse


def ask(proxy, url, headers):
    page = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(proxy.hostname, proxy.port or 80, timeout=10)
    # The tunnel says so too: outside there is HTTPS only.
    about = {"Host": page.hostname, "X-Forwarded-Proto": "https", **headers}
    path = urllib.parse.urlunsplit(("", "", page.path or "/", page.query, ""))
    connection.request("GET", path, headers=about)
    answer = connection.getresponse()
    return answer, answer.read().decode(errors="replace")


proxy, url = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2]
stranger, _ = ask(proxy, url, {})
print(f"without a session: {stranger.status} {stranger.getheader('Location', '')}")
if stranger.status != 302:
    sys.exit("a stranger must be led to the sign-in")
with open("/run/secrets/check_token") as file:
    token = file.read().strip()
words = base64.b64encode(f"infra-check:{token}".encode()).decode()
known, body = ask(proxy, url, {"Authorization": f"Basic {words}"})
print(f"with a session: {known.status}\n{body[:4000]}")
sys.exit(known.status != 200)
