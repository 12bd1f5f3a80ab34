"""A place on a server, through which files can be handed out in tests."""

import contextlib
import threading
import warnings
from types import SimpleNamespace

from fsspec.implementations.ftp import FTPFileSystem

with warnings.catch_warnings():
    # The server still uses modules that Python 3.11 warns of; it brings them for later versions.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer


@contextlib.contextmanager
def lent_by_ftp(folder):
    """URL of a folder, lent by a server to whoever has the password."""
    authorizer = DummyAuthorizer()
    authorizer.add_user("facelink", "secret", str(folder), perm="elradfmwMT")
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer})
    server = FTPServer(("127.0.0.1", 0), handler)
    state = SimpleNamespace(is_open=True)

    def serve():
        while state.is_open:
            server.ioloop.loop(timeout=0.05, blocking=False)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"ftp://facelink:secret@127.0.0.1:{server.address[1]}"
    finally:
        FTPFileSystem.clear_instance_cache()
        state.is_open = False
        thread.join()
        server.close_all()
