"""A client of MongoDB for the tests, which shares no code with rotate-mongodb.

It listens on a port of its own, which it writes into a file. A line of JSON is a command, and the
answer is a line of JSON: {"port", "user", "password", "source", "database", "tls", "command"}. Commands
and answers are extended JSON, so that every type of BSON can be said.
"""

import json
import socketserver
import sys
import threading

from bson import json_util
from bson.codec_options import CodecOptions
from bson.son import SON
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

OPTIONS = json_util.JSONOptions(document_class=SON)
KEPT = {}
LOCK = threading.Lock()


def client(asked):
    """One client for each that is asked for, and a new one for each that is to log in anew."""
    key = json.dumps({name: asked.get(name) for name in ("port", "user", "password", "source", "tls")})
    with LOCK:
        if key in KEPT and not asked.get("anew"):
            return KEPT[key], False
    options = {"serverSelectionTimeoutMS": 10000, "directConnection": True, "document_class": SON}
    if asked.get("user") is not None:
        options.update(username=asked["user"], password=asked["password"])
        options.update(authSource=asked.get("source") or "admin")
        if asked.get("mechanism"):
            options.update(authMechanism=asked["mechanism"])
    if asked.get("tls"):
        options.update(tls=True, tlsCAFile=sys.argv[2])
    made = MongoClient("localhost", asked["port"], **options)
    if not asked.get("anew"):
        with LOCK:
            KEPT[key] = made
    return made, bool(asked.get("anew"))


def answer(asked):
    made, once = client(asked)
    try:
        database = made.get_database(asked["database"], codec_options=CodecOptions(document_class=SON))
        return {"ok": database.command(asked["command"])}
    except OperationFailure as failure:
        return {"error": failure.code, "message": str(failure)}
    except PyMongoError as failure:
        return {"error": 0, "message": str(failure)}
    finally:
        if once:
            made.close()


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            said = answer(json_util.loads(line, json_options=OPTIONS))
            self.wfile.write(json_util.dumps(said).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


with Server(("127.0.0.1", 0), Handler) as server:
    with open(sys.argv[1], "w", encoding="ascii") as port:
        port.write(str(server.server_address[1]))
    server.serve_forever()
