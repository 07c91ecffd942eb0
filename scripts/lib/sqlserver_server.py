"""A server for the tests of rotate-sqlserver: TDS, TLS and the login are pysqlbridge's, which others wrote
and which shares no code with the rotator; users, locks and statements are in sqlserver_world.py.

    sqlserver_server.py CERTIFICATE KEY

It listens on a free port of the loopback address and ends with its standard input. Each line there is a
command as JSON, each line of its output the answer; the first one is {"port": NUMBER}. The commands:

    {"do": "set", "at": [KEY, ...], "to": VALUE}   changes the state below World.state
    {"do": "state"}                                the whole state
    {"do": "log"}                                  what the server was told: logins, and every statement
                                                   as it came. A real server logs no statement by itself,
                                                   and masks a password where it is traced; this does not,
                                                   so that a search sees what was sent
    {"do": "trap", "text": TEXT, "act": ACT, ...}  see Trap; without "text" every trap is taken away
    {"do": "hold", "name": NAME, "database": NAME} takes a lock in the name of nobody; "release": true ends it
"""

import json
import os
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time

from pysqlbridge.certificate import load, server_context
from pysqlbridge.tds import connection as bridge
from pysqlbridge.tds.login import Login7, deobfuscate_password
from pysqlbridge.tds.packet import PacketType, build_packet, reassemble
from pysqlbridge.tds.prelogin import Encryption, Prelogin, server_response
from pysqlbridge.tds.result import QueryError
from pysqlbridge.tds.tls import TlsTunnel
from pysqlbridge.tds.token import DoneStatus, done, error
from sqlserver_world import Refused, Session, World

# [MS-TDS] 2.2.6.4: where the offset and the length of the new password stand, and the bit of OptionFlags3
# (fChangePassword) that says that it is one.
CHANGE_PASSWORD = 86
OPTION_FLAGS3 = 27


class Login(Login7):
    """pysqlbridge reads the new password as text, which it is not before it is unscrambled."""

    @classmethod
    def parse(cls, payload):
        offset, length = struct.unpack_from("<HH", payload, CHANGE_PASSWORD)
        blank = bytearray(payload)
        struct.pack_into("<HH", blank, CHANGE_PASSWORD, offset, 0)
        login = super().parse(bytes(blank))
        if payload[OPTION_FLAGS3] & 1:
            login.change_password = deobfuscate_password(payload[offset : offset + 2 * length])
        return login


bridge.Login7 = Login


class Bare:
    """No tunnel: what comes is what was said."""

    handshake_complete = True

    def unwrap(self, data):
        return bytes(data)


class Connected(bridge.Connection):
    """One client, whose login and statements the world decides."""

    def __init__(self, server, request):
        super().__init__(server.certificate, server_name="TEST", query_handler=self._answer)
        self.world = server.world
        self.session = Session(self.world, lambda: gone(request))
        self.cut = False

    def _step_prelogin(self, responses):
        mode = self.world.state["encrypt"]
        if mode == "required":
            self._encryption = Encryption.REQUIRED
            moved = super()._step_prelogin(responses)
            if moved and self.world.state["tls"] == "1.3":
                self._tunnel = TlsTunnel(newer(self._certificate))
            return moved
        # Answered by hand: pysqlbridge always offers TLS.
        message = reassemble(self._buffer)
        if message is None:
            return False
        del self._buffer[: message.consumed]
        asked = Prelogin.parse(message.payload)
        said = Encryption.NOT_SUPPORTED if mode == "not supported" else Encryption.OFF
        answer = server_response(encryption=said, asked=asked)
        responses.append(build_packet(PacketType.TABULAR_RESULT, answer.build()))
        self._tunnel, self._state = Bare(), bridge.ConnectionState.EXPECT_LOGIN
        return True

    def _answer_sql_login(self, responses):
        login = self._login
        try:
            self.session.log_in(
                login.user_name, deobfuscate_password(login.password), login.database, login.change_password
            )
        except Refused as refused:
            said = b"".join(
                error(number, text, server="TEST", severity=severity, tds_version=self._tds_version)
                for number, severity, text in refused.errors
            )
            self._send(responses, said + done(status=DoneStatus.ERROR, tds_version=self._tds_version))
            self._state = bridge.ConnectionState.FAILED
            return True
        self._database = self.session.database
        self._finish_login(responses)
        # What a process of this number sees is its own.
        self.session.number = self._spid
        with self.world.mutex:
            self.world.sessions.add(self.session)
        return True

    def _answer(self, query):
        act = self.world.trapped(query.sql)
        self.cut = act in ("cut before", "cut after")
        if act == "cut before":
            raise QueryError("Nobody hears this.")
        return self.session.answer(query)


def gone(request):
    """Whether the client has hung up."""
    try:
        return request.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def newer(certificate):
    """pysqlbridge speaks TLS 1.2 only. A server of 1.3 sends tickets behind the handshake."""
    context = server_context(certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options &= ~ssl.OP_NO_TICKET
    return context


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Connected(self.server, self.request)
        try:
            while data := self.request.recv(65536):
                answers = client.receive(data)
                if client.cut:
                    # A reset, and no answer.
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                for answer in answers:
                    self.request.sendall(answer)
                if client.state is bridge.ConnectionState.FAILED:
                    return
        except OSError:
            pass
        except Exception as failure:  # What the protocol does not allow ends the connection.
            self.server.world.note(f"PROTOCOL {type(failure).__name__}: {failure}")
        finally:
            client.session.end()


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, certificate, key):
        self.certificate, self.world = load(certificate, key), World()
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request, address):
        pass


def obey(world, command):
    match command["do"]:
        case "set":
            world.set(command["at"], command["to"])
        case "state":
            return world.state
        case "log":
            return world.log
        case "trap":
            world.trap(command)
        case "hold":
            world.hold(command["database"], command["name"], command.get("release", False))
        case other:
            raise ValueError(f"no command is called {other}")
    return None


def main():
    server = Server(*sys.argv[1:])
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    for line in sys.stdin:
        with server.world.mutex:
            print(json.dumps(obey(server.world, json.loads(line))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
