"""A load generator in a process of its own: connections that post an event, wait, and post again.

    python -m bench.load PORT API_KEY CONNECTIONS SECONDS PREFIX EVENTS_PER_REQUEST MOST

Each event has a key of its own. It prints what happened as JSON.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator

import uvloop

EVENT = (
    '{"type":"llm.completion","source":"gateway-eu-1","subject":"cus_%032x",'
    '"timestamp":"2026-03-%02dT%02d:%02d:00.125Z","idempotencyKey":"%s-%d",'
    '"data":{"tokens":%d,"model":"large-v2","region":"eu-west-1","cached":false,"latency":12.25}}'
)
SUBJECTS = 1_000


def event(prefix: str, number: int) -> str:
    """An event of about 290 bytes; time goes on with the number."""
    minute = number // 50
    day, hour = 1 + minute // 1440 % 28, minute // 60 % 24
    subject = number * 7919 % SUBJECTS
    return EVENT % (subject, day, hour, minute % 60, prefix, number, 1 + number % 4000)


def requests(api_key: str, prefix: str, size: int) -> Iterator[bytes]:
    for number in itertools.count():
        if size == 1:
            path, body = "/v0/events", event(prefix, number)
        else:
            path = "/v0/events/batch"
            numbers = range(number * size, number * size + size)
            body = f"[{','.join(event(prefix, each) for each in numbers)}]"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {api_key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield (head + body).encode()


class Sender(asyncio.Protocol):
    """One connection; it stops when there is nothing more to send or the time is over."""

    def __init__(self, source: Iterator[bytes], over: Callable[[], bool], done: "Tally") -> None:
        self._source = source
        self._over = over
        self._tally = done
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._send()

    def _send(self) -> None:
        request = None if self._over() else next(self._source, None)
        if request is None:
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._tally.note(self._buffer[9:12], time.perf_counter() - self._began)
        self._buffer = b""
        self._send()

    def connection_lost(self, _error: Exception | None) -> None:
        self._tally.closed()


class Tally:
    """What the connections have seen."""

    def __init__(self, connections: int) -> None:
        self.statuses: dict[str, int] = {}
        self.seconds: list[float] = []
        self._open = connections
        self.all_closed = asyncio.get_running_loop().create_future()

    def note(self, status: bytes, seconds: float) -> None:
        self.statuses[status.decode()] = self.statuses.get(status.decode(), 0) + 1
        self.seconds.append(seconds)

    def closed(self) -> None:
        self._open -= 1
        if not self._open:
            self.all_closed.set_result(None)


async def run(arguments: list[str]) -> None:
    port, api_key, connections, seconds, prefix, size, most = arguments
    tally = Tally(int(connections))
    # Batches are written beforehand: their text costs more than their sending.
    made = itertools.islice(requests(api_key, prefix, int(size)), int(most))
    source = made if int(size) == 1 else iter(list(made))
    began = time.perf_counter()

    def over() -> bool:
        return time.perf_counter() - began > float(seconds)

    loop = asyncio.get_running_loop()
    for _ in range(int(connections)):
        await loop.create_connection(lambda: Sender(source, over, tally), "127.0.0.1", int(port))
    await tally.all_closed
    elapsed = time.perf_counter() - began
    ordered = sorted(tally.seconds)
    result = {
        "requests": len(ordered),
        "perSecond": len(ordered) / elapsed,
        "p50Ms": ordered[len(ordered) // 2] * 1000,
        "p99Ms": ordered[len(ordered) * 99 // 100] * 1000,
        "statuses": tally.statuses,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1:]))
