"""Just enough of PostgreSQL's protocol 3.0 to log in with SCRAM-SHA-256 and to run statements."""

import base64
import hashlib
import hmac
import os
import socket
import struct


class PostgresError(Exception):
    pass


class Connection:
    def __init__(self, host, port, user, password, database, timeout=5):
        self.socket = socket.create_connection((host, port), timeout)
        self.password = password.encode()
        names = {"user": user, "database": database, "application_name": "immich"}
        words = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in names.items()) + b"\0"
        body = struct.pack("!I", 196608) + words
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self.log_in()

    def send(self, kind, body):
        self.socket.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise PostgresError("the server closed the connection")
            data += more
        return data

    def receive(self):
        head = self.exactly(5)
        body = self.exactly(struct.unpack("!I", head[1:])[0] - 4)
        if head[:1] == b"E":
            fields = {part[:1]: part[1:].decode() for part in body.split(b"\0") if part}
            raise PostgresError(fields.get(b"M", "unknown error"))
        return head[:1], body

    def log_in(self):
        while True:
            kind, body = self.receive()
            if kind == b"Z":
                return
            if kind == b"R":
                self.authenticate(struct.unpack("!I", body[:4])[0], body[4:])

    def authenticate(self, method, data):
        if method == 3:
            self.send(b"p", self.password + b"\0")
        elif method == 10:
            if b"SCRAM-SHA-256" not in data.split(b"\0"):
                raise PostgresError("the server offers no SCRAM-SHA-256")
            self.bare = b"n=,r=" + base64.b64encode(os.urandom(18))
            first = b"n,," + self.bare
            self.send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
        elif method == 11:
            self.send(b"p", self.proof(data))
        elif method == 12 and data != b"v=" + base64.b64encode(self.server_signature):
            raise PostgresError("the server does not know the password either")
        elif method not in (0, 12):
            raise PostgresError(f"authentication method {method} is not spoken here")

    def proof(self, challenge):
        said = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(said[b"s"]), int(said[b"i"]))
        digest = lambda key, text: hmac.new(key, text, hashlib.sha256).digest()
        client_key = digest(salted, b"Client Key")
        final = b"c=biws,r=" + said[b"r"]
        whole = b",".join([self.bare, challenge, final])
        signature = digest(hashlib.sha256(client_key).digest(), whole)
        self.server_signature = digest(digest(salted, b"Server Key"), whole)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        return final + b",p=" + base64.b64encode(proof)

    def query(self, text):
        """Rows of the last statement, each value as text or None."""
        self.send(b"Q", text.encode() + b"\0")
        rows, failure = [], None
        while True:
            try:
                kind, body = self.receive()
            except PostgresError as error:
                if "closed" in str(error):
                    raise
                failure = error
                continue
            if kind == b"Z":
                if failure:
                    raise failure
                return rows
            if kind == b"T":
                rows = []
            if kind == b"D":
                rows.append(self.row(body))

    @staticmethod
    def row(body):
        values, at = [], 2
        for _ in range(struct.unpack("!H", body[:2])[0]):
            size = struct.unpack("!i", body[at:at + 4])[0]
            at += 4
            values.append(None if size < 0 else body[at:at + size].decode())
            at += max(size, 0)
        return values
