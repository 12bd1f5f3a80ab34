"""The page on a real port, served by a thread of the tests."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass

from facelink.review import app, patience

TOKEN = "of-the-test"


@dataclass(frozen=True)
class Served:
    port: int

    @property
    def link(self):
        return f"http://127.0.0.1:{self.port}/?token={TOKEN}"


@contextmanager
def served(folder):
    """Serve an album as `facelink review` does, until the block ends."""
    import uvicorn

    with app.listening(0) as listener:
        port = listener.getsockname()[1]
        application = app.create_app(folder, token=TOKEN, port=port)
        server = uvicorn.Server(uvicorn.Config(application, **patience.limits()))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Served(port)
        finally:
            server.should_exit = True
            thread.join()
