"""Serves a WSGI application for series that no longer ship a program for it; threads, the standard library, no more.

`serve.py --host H --port P module:callable`, where `module:factory()` is called once to get the application. What stands
after a single `--` is left in sys.argv for the application, which may read its own options from there.
"""

import argparse
import importlib
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(WSGIRequestHandler):
    # keystonemiddleware and the projects' clients keep connections open otherwise, and a stopped server would hang on them
    protocol_version = "HTTP/1.0"

    def address_string(self):
        return self.client_address[0]


def load(target):
    module, _, name = target.partition(":")
    call = name.endswith("()")
    found = getattr(importlib.import_module(module), name[:-2] if call else name)
    return found() if call else found


def main():
    own, rest = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, rest = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("application")
    arguments = parser.parse_args(own)
    sys.argv = [sys.argv[0]] + rest
    # Bound before the application is loaded would look alive too early, so it is the other way round.
    application = load(arguments.application)
    with make_server(arguments.host, arguments.port, application, Server, Handler) as server:
        print("serving %s on %s:%d" % (arguments.application, arguments.host, arguments.port), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
