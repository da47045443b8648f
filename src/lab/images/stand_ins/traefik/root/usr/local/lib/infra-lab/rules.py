"""Traefik's rules, as far as the lab knows them: Host, PathPrefix, Path, Method and Header with &&, || and !."""

import re

TOKEN = re.compile(r"\s*(?:(&&|\|\||[()!,])|`([^`]*)`|\"([^\"]*)\"|([A-Za-z]+))")


class RuleError(Exception):
    pass


def tokens(text):
    at, out = 0, []
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if not found:
            raise RuleError(f"error while parsing rule {text}: unexpected {text[at:].strip()[:20]}")
        sign, ticked, quoted, word = found.groups()
        out.append(("sign", sign) if sign else ("word", word) if word else ("text", ticked if ticked is not None else quoted))
        at = found.end()
    return out


MATCHERS = {
    "Host": lambda request, names: request.host.lower() in [name.lower() for name in names],
    "PathPrefix": lambda request, prefixes: request.path.startswith(tuple(prefixes)),
    "Path": lambda request, paths: request.path in paths,
    "Method": lambda request, methods: request.method in methods,
    "Header": lambda request, pair: request.headers.get(pair[0]) == pair[1],
}


class Rule:
    """A parsed rule: call it with a request."""

    def __init__(self, text):
        self.text, self.left = text, tokens(text)
        self.matches = self.either()
        if self.left:
            raise RuleError(f"error while parsing rule {text}: unexpected {self.left[0][1]}")

    def __call__(self, request):
        return self.matches(request)

    def takes(self, sign):
        if self.left and self.left[0] == ("sign", sign):
            self.left.pop(0)
            return True
        return False

    def either(self):
        parts = [self.both()]
        while self.takes("||"):
            parts.append(self.both())
        return lambda request: any(part(request) for part in parts)

    def both(self):
        parts = [self.one()]
        while self.takes("&&"):
            parts.append(self.one())
        return lambda request: all(part(request) for part in parts)

    def one(self):
        if self.takes("!"):
            inner = self.one()
            return lambda request: not inner(request)
        if self.takes("("):
            inner = self.either()
            if not self.takes(")"):
                raise RuleError(f"error while parsing rule {self.text}: a bracket is open")
            return inner
        kind, name = self.left.pop(0) if self.left else ("", "")
        if kind != "word" or name not in MATCHERS or not self.takes("("):
            raise RuleError(f"error while parsing rule {self.text}: unsupported function: {name or 'nothing'}")
        words = []
        while not self.takes(")"):
            kind, word = self.left.pop(0) if self.left else ("", "")
            if kind != "text":
                raise RuleError(f"error while parsing rule {self.text}: {name} takes texts")
            words.append(word)
            self.takes(",")
        matcher = MATCHERS[name]
        return lambda request: matcher(request, words)
