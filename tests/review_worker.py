"""Serves an album until it is killed: for each line with a folder in a child process.

The child's number goes to the output first, then the port; "killed" when it has ended.
"""

import os
import sys
from pathlib import Path

import uvicorn

from facelink.review import app, patience

TOKEN = "of-the-killed"


def serve(folder: Path) -> None:
    with app.listening(0) as listener:
        port = listener.getsockname()[1]
        application = app.create_app(folder, token=TOKEN, port=port)
        say(f"{os.getpid()} {port}")
        uvicorn.Server(uvicorn.Config(application, **patience.limits())).run(sockets=[listener])


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main() -> None:
    for line in sys.stdin:
        child = os.fork()  # before anything has started threads here, which would not follow
        if child == 0:
            serve(Path(line.strip()))
        os.waitpid(child, 0)
        say("killed")


if __name__ == "__main__":
    main()
