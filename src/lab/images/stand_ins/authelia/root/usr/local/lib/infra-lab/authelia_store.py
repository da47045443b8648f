"""What Authelia keeps: TOTP devices and the proof of the encryption key in its database, sessions in memory or in Redis."""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import struct
import threading
import time
from urllib.parse import urlsplit

from postgres import Connection, PostgresError


class StoreError(Exception):
    pass


class Store:
    def __init__(self, config):
        self.lock, self.lite = threading.Lock(), None
        path = config.get("storage.local.path")
        try:
            if path:
                self.lite = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            else:
                postgres = config.get("storage.postgres")
                url = urlsplit(postgres["address"] if "//" in postgres["address"] else f"tcp://{postgres['address']}")
                self.postgres = Connection(url.hostname, url.port or 5432, postgres["username"], str(postgres["password"]), postgres["database"])
            self.run("CREATE TABLE IF NOT EXISTS encryption (name VARCHAR(16) PRIMARY KEY, value VARCHAR(64) NOT NULL)")
            self.run("CREATE TABLE IF NOT EXISTS totp_configurations (username VARCHAR(100) PRIMARY KEY, secret VARCHAR(64) NOT NULL, last_step VARCHAR(20) NOT NULL)")
            self.proven(config.get("storage.encryption_key"))
        except (OSError, sqlite3.Error, PostgresError) as error:
            raise StoreError(f"error occurred while attempting to open the storage: {error}") from error

    def run(self, statement, *values):
        """Rows. A value stands where the statement has `?`."""
        with self.lock:
            if self.lite:
                return self.lite.execute(statement, values).fetchall()
            parts = statement.split("?")
            quoted = ["'" + str(value).replace("'", "''") + "'" for value in values]
            return self.postgres.query("".join(a + b for a, b in zip(parts, quoted + [""])))

    def proven(self, key):
        """A database belongs to the key that it was made with."""
        proof = hmac.new(str(key).encode(), b"authelia", hashlib.sha256).hexdigest()
        rows = self.run("SELECT value FROM encryption WHERE name = ?", "check")
        if not rows:
            self.run("INSERT INTO encryption VALUES (?, ?)", "check", proof)
        elif rows[0][0] != proof:
            raise StoreError("the configured encryption key does not appear to be valid for this database")

    def register(self, user, secret):
        self.run("DELETE FROM totp_configurations WHERE username = ?", user)
        self.run("INSERT INTO totp_configurations VALUES (?, ?, ?)", user, secret, "0")

    def device(self, user):
        rows = self.run("SELECT secret, last_step FROM totp_configurations WHERE username = ?", user)
        return (rows[0][0], int(rows[0][1])) if rows else None

    def used(self, user, step):
        self.run("UPDATE totp_configurations SET last_step = ? WHERE username = ?", str(step), user)


class Sessions:
    """By a random id. In memory they end with the process; in Redis they outlive it."""

    def __init__(self, config):
        self.seconds, self.memory, self.redis = duration(config.get("session.expiration", "1h")), {}, None
        spec = config.get("session.redis")
        if spec:
            import redis

            password = spec.get("password")
            self.redis = redis.Redis(host=spec["host"], port=int(spec.get("port", 6379)), password=None if password is None else str(password), socket_timeout=5)
            try:
                self.redis.ping()
            except redis.RedisError as error:
                raise StoreError(f"error occurred while attempting to connect to redis: {error}") from error

    def get(self, session):
        if not session:
            return None
        if self.redis:
            value = self.redis.get(f"authelia-session:{session}")
            return json.loads(value) if value else None
        value, ends = self.memory.get(session, (None, 0))
        return value if ends > time.time() else None

    def put(self, session, value):
        if self.redis:
            self.redis.set(f"authelia-session:{session}", json.dumps(value), ex=self.seconds)
        else:
            self.memory[session] = (value, time.time() + self.seconds)

    def drop(self, session):
        if self.redis:
            self.redis.delete(f"authelia-session:{session}")
        self.memory.pop(session, None)


def duration(value):
    """Seconds of `1h`, `5 minutes`, 300."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    text = str(value).strip()
    digits = "".join(c for c in text if c.isdigit())
    return int(digits or 0) * units.get(text[len(digits):].strip()[:1] or "s", 1)


def verified(password, stored):
    """Whether a password is that of an argon2 or pbkdf2 hash in the crypt format."""
    if stored.startswith("$argon2"):
        import argon2

        try:
            return argon2.PasswordHasher().verify(stored, password)
        except argon2.exceptions.Argon2Error:
            return False
    _, kind, rounds, salt, digest = stored.split("$")
    name = kind.removeprefix("pbkdf2-") if "-" in kind else "sha1"
    plain = lambda text: base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4))
    made = hashlib.pbkdf2_hmac(name, password.encode(), plain(salt), int(rounds), len(plain(digest)))
    return hmac.compare_digest(made, plain(digest))


def code(secret, step):
    """RFC 6238 with six digits and SHA-1."""
    digest = hmac.new(base64.b32decode(secret + "=" * (-len(secret) % 8)), struct.pack(">Q", step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1000000:06d}"


def new_secret():
    return base64.b32encode(os.urandom(20)).decode().rstrip("=")
