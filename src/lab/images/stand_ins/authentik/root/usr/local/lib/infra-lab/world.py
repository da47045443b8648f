"""What Authentik remembers: objects in PostgreSQL, sessions in Redis, and its settings."""

import json
import os
import socket
import sys

from postgres import Connection


def fail(message):
    print(json.dumps({"level": "error", "event": message}), file=sys.stderr)
    sys.exit(1)


def setting(name, default=None):
    """`AUTHENTIK_NAME`; `file://PATH` is what the file holds, `env://NAME` another variable."""
    value = os.environ.get(f"AUTHENTIK_{name}", default)
    if value and value.startswith("file://"):
        try:
            with open(value.removeprefix("file://")) as file:
                return file.read().strip()
        except OSError as error:
            fail(f"AUTHENTIK_{name}: {error}")
    if value and value.startswith("env://"):
        value = os.environ.get(value.removeprefix("env://"))
    if not value:
        fail(f"AUTHENTIK_{name} is not set")
    return value


def database():
    name = lambda key, default=None: setting(f"POSTGRESQL__{key}", default)
    words = [name("USER", "authentik"), name("PASSWORD"), name("NAME", "authentik")]
    return Connection(name("HOST", "localhost"), int(name("PORT", "5432")), *words)


def redis(*words):
    address = (setting("REDIS__HOST", "localhost"), int(setting("REDIS__PORT", "6379")))
    with socket.create_connection(address, 5) as connection:
        stream = connection.makefile("rwb")
        stream.write(f"*{len(words)}\r\n".encode())
        for word in words:
            stream.write(f"${len(word.encode())}\r\n{word}\r\n".encode())
        stream.flush()
        first = stream.readline().decode().strip()
        if first.startswith("-"):
            raise OSError(f"Redis says {first[1:]}")
        if first.startswith("$") and first != "$-1":
            return stream.read(int(first[1:])).decode()
        return None if first == "$-1" else first


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def migrated(connection):
    connection.query("SELECT pg_advisory_lock(900)")
    connection.query("CREATE TABLE IF NOT EXISTS lab_object (model text, key text, attrs jsonb NOT NULL, PRIMARY KEY (model, key))")
    connection.query("SELECT pg_advisory_unlock(900)")


def keep(connection, model, key, attrs):
    words = ", ".join(quoted(text) for text in (model, key, json.dumps(attrs)))
    connection.query(f"INSERT INTO lab_object VALUES ({words}) ON CONFLICT (model, key) DO UPDATE SET attrs = lab_object.attrs || EXCLUDED.attrs")


def drop(connection, model, key):
    connection.query(f"DELETE FROM lab_object WHERE model = {quoted(model)} AND key = {quoted(key)}")


def every(connection, model):
    rows = connection.query(f"SELECT key, attrs FROM lab_object WHERE model = {quoted(model)}")
    return {key: json.loads(attrs) for key, attrs in rows}
