"""The API as a process of its own, or what it is compared with, under the same server.

python -m bench.server api|null|alone PORT DATABASE_URL
"""

import os
import sys
from collections.abc import Sequence

from starlette.types import Receive, Scope, Send

from api.app import create_app, served
from api.committer import Committer, Outcome
from local.serve import serve
from models.database import Database
from models.event_rows import EventRow
from models.queries import usage_appends
from settings import Settings

ANSWER = b'{"object":"event"}'


async def null(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body and answers: what the server itself costs."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


class OneByOne(Committer):
    """Each request by a statement of its own: what sharing them is compared with."""

    async def store(self, events: Sequence[EventRow], *, live: bool) -> list[Outcome]:  # noqa: ARG002
        async with self._database.autocommit() as connection:
            await usage_appends.append_beside_rivals(connection, events)
        return [Outcome("created", event) for event in events]


def run(kind: str, port: int, url: str) -> None:
    os.environ["DURABILL_DATABASE_URL"] = url
    if kind == "null":
        serve(null, "127.0.0.1", port)
        return
    database = Database(url)
    app = create_app(Settings(), database=database)
    if kind == "alone":
        app.state.committer.__class__ = OneByOne
    serve(served(app), "127.0.0.1", port)


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), sys.argv[3])
