"""The cases of bench/cases in CPython: lines of "name value unit".

    python3 bench/cpython.py [case ...]
"""

import multiprocessing
import queue
import statistics
import sys
import threading
import time
from concurrent.futures import (
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from multiprocessing.shared_memory import SharedMemory

ROUNDS = 3


def each(work, n):
    """Seconds for one of n; work may return the seconds that count."""
    figures = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        said = work(n)
        taken = time.perf_counter() - start
        figures.append((taken if said is None else said) / n)
    return statistics.median(figures)


def show(name, value, unit):
    print(name, value if isinstance(value, str) else f"{value:.6g}", unit)


def nanoseconds(name, work, n=500_000):
    show(name, each(work, n) * 1e9, "ns")


def millions(name, work, n):
    show(name, 1e-6 / each(work, n), "M/s")


def thread_start():
    def start_join(n):
        for _ in range(n):
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()

    show("start_join", each(start_join, 1000) * 1e6, "us")


def lock():
    mutex = threading.Lock()

    def acquire_release(n):
        for _ in range(n):
            mutex.acquire()
            mutex.release()

    def with_lock(n):
        for _ in range(n):
            with mutex:
                pass

    nanoseconds("acquire_release", acquire_release)
    nanoseconds("with_lock", with_lock)


def ping_pong():
    def echo(there, back, n):
        for _ in range(n):
            back.put(there.get())

    def round_trips(n):
        there, back = queue.Queue(), queue.Queue()
        partner = threading.Thread(target=echo, args=(there, back, n + 1))
        partner.start()
        there.put(0)
        back.get()
        start = time.perf_counter()
        for i in range(n):
            there.put(i)
            back.get()
        seconds = time.perf_counter() - start
        partner.join()
        return seconds

    show("ping_pong", each(round_trips, 3000) * 1e6, "us")


def drain(q, ready, n):
    ready.set()
    for _ in range(n):
        q.get()


def through(make_queue, produce):
    def work(n):
        q, ready = make_queue(), threading.Event()
        consumer = threading.Thread(target=drain, args=(q, ready, n))
        consumer.start()
        ready.wait()
        start = time.perf_counter()
        produce(q, n)
        consumer.join()
        return time.perf_counter() - start

    return work


def one_way():
    def integers(q, n):
        for i in range(n):
            q.put(i)

    def records(q, n):
        for i in range(n):
            q.put({"id": i, "name": "x"})

    def triples(q, n):
        for _ in range(n):
            q.put([1, 2, 3])

    millions("integers", through(queue.Queue, integers), 100_000)
    millions("simple_integers", through(queue.SimpleQueue, integers), 300_000)
    millions("records", through(queue.Queue, records), 100_000)
    millions("triples", through(queue.Queue, triples), 100_000)


def process_echo(there, back, n):
    for _ in range(n):
        back.put(there.get())


def pipe_echo(conn, n):
    for _ in range(n):
        conn.send(conn.recv())


def process_drain(q, ready, n):
    ready.put(True)
    for _ in range(n):
        q.get()
    ready.put(True)


def process_queue():
    mp = multiprocessing.get_context("spawn")

    def round_trips(n):
        there, back = mp.Queue(), mp.Queue()
        partner = mp.Process(target=process_echo, args=(there, back, n + 1))
        partner.start()
        there.put(0)
        back.get()
        start = time.perf_counter()
        for i in range(n):
            there.put(i)
            back.get()
        seconds = time.perf_counter() - start
        partner.join()
        return seconds

    def pipe_round_trips(n):
        mine, theirs = mp.Pipe()
        partner = mp.Process(target=pipe_echo, args=(theirs, n + 1))
        partner.start()
        mine.send(0)
        mine.recv()
        start = time.perf_counter()
        for i in range(n):
            mine.send(i)
            mine.recv()
        seconds = time.perf_counter() - start
        partner.join()
        return seconds

    def through_process(item):
        def work(n):
            q, ready = mp.Queue(), mp.Queue()
            consumer = mp.Process(target=process_drain, args=(q, ready, n))
            consumer.start()
            ready.get()
            start = time.perf_counter()
            for _ in range(n):
                q.put(item)
            ready.get()
            seconds = time.perf_counter() - start
            consumer.join()
            return seconds

        return work

    size = 64 << 20
    show("ping_pong", each(round_trips, 1000) * 1e6, "us")
    show("pipe_ping_pong", each(pipe_round_trips, 1000) * 1e6, "us")
    millions("integers", through_process(1), 20_000)
    show("string", size / each(through_process("x" * size), 4) / 1e9, "GB/s")


def string():
    """CPython's threads share one heap: nothing is carried."""
    show("string", "by-reference", "GB/s")


def table():
    show("records", "by-reference", "ms")
    show("integers", "by-reference", "ms")


def same(x):
    return x


def tasks():
    def submit(n):
        futures = [executor.submit(same, i) for i in range(n)]
        assert sum(f.result() for f in futures) == sum(range(n))

    def by_map(n):
        assert sum(executor.map(same, range(n))) == sum(range(n))

    with ThreadPoolExecutor(2) as executor:
        millions("submit", submit, 20_000)
        millions("map", by_map, 20_000)


def futures():
    def latency(n):
        for i in range(n):
            executor.submit(same, i).result()

    def over_done(look):
        def work(n):
            done = [executor.submit(same, i) for i in range(n)]
            for f in done:
                f.result()
            start = time.perf_counter()
            look(done)
            return time.perf_counter() - start

        return work

    def by_map(n):
        assert sum(executor.map(same, range(n))) == sum(range(n))

    with ThreadPoolExecutor(2) as executor:
        show("latency", each(latency, 5000) * 1e6, "us")
        millions("wait", over_done(wait), 20_000)
        millions("as_completed", over_done(lambda fs: list(as_completed(fs))), 20_000)
        millions("map", by_map, 20_000)


def process_pool():
    def submit(n):
        futures = [executor.submit(same, i) for i in range(n)]
        assert sum(f.result() for f in futures) == sum(range(n))

    def latency(n):
        for i in range(n):
            executor.submit(same, i).result()

    def by_map(n):
        assert sum(executor.map(same, range(n), chunksize=n // 64)) == sum(range(n))

    with ProcessPoolExecutor(2) as executor:
        list(executor.map(same, range(4)))
        millions("submit", submit, 5000)
        show("latency", each(latency, 1000) * 1e6, "us")
        millions("map", by_map, 50_000)


def nothing():
    pass


def process_start():
    for method in ("spawn", "forkserver"):
        context = multiprocessing.get_context(method)

        def start_join(n, context=context):
            for _ in range(n):
                process = context.Process(target=nothing)
                process.start()
                process.join()

        start_join(1)
        show(method, each(start_join, 10) * 1e3, "ms")

    def create(n):
        for _ in range(n):
            block = SharedMemory(create=True, size=1 << 20)
            block.close()
            block.unlink()

    def attach(n):
        block = SharedMemory(create=True, size=1 << 20)
        start = time.perf_counter()
        for _ in range(n):
            SharedMemory(block.name).close()
        seconds = time.perf_counter() - start
        block.close()
        block.unlink()
        return seconds

    show("shm_create", each(create, 500) * 1e6, "us")
    show("shm_attach", each(attach, 1000) * 1e6, "us")


def shared():
    mutex = multiprocessing.Lock()
    cell = multiprocessing.Value("q", 0)
    array = multiprocessing.Array("q", 100)

    def acquire_release(n):
        for _ in range(n):
            mutex.acquire()
            mutex.release()

    def value_read(n):
        for _ in range(n):
            cell.value  # noqa: B018

    def value_add(n):
        for _ in range(n):
            with cell.get_lock():
                cell.value += 1

    def array_read(n):
        for _ in range(n):
            array[49]  # noqa: B018

    def array_write(n):
        for i in range(n):
            array[49] = i

    nanoseconds("Lock_acquire_release", acquire_release, 200_000)
    nanoseconds("Value_read", value_read, 200_000)
    nanoseconds("Value_add", value_add, 200_000)
    nanoseconds("Array_read", array_read, 200_000)
    nanoseconds("Array_write", array_write, 200_000)


def manager():
    with multiprocessing.get_context("spawn").Manager() as m:
        shared = m.dict(key=0)

        def dict_read(n):
            for _ in range(n):
                shared["key"]

        show("dict_read", each(dict_read, 5000) * 1e6, "us")


class Cell:
    def __init__(self):
        self.value = 0
        self.lock = threading.Lock()


def cells():
    """What threads share in CPython: an attribute, a list, a dict."""
    cell, array, shared = Cell(), [0] * 100, {"key": 0}

    def value_read(n):
        for _ in range(n):
            cell.value

    def value_write(n):
        for i in range(n):
            cell.value = i

    def value_add(n):
        for _ in range(n):
            with cell.lock:
                cell.value += 1

    def array_read(n):
        for _ in range(n):
            array[50]

    def array_write(n):
        for i in range(n):
            array[50] = i

    def dict_read(n):
        for _ in range(n):
            shared["key"]

    def dict_write(n):
        for i in range(n):
            shared["key"] = i

    def dict_add(n):
        for _ in range(n):
            with cell.lock:
                shared["key"] += 1

    nanoseconds("Value_read", value_read)
    nanoseconds("Value_write", value_write)
    nanoseconds("Value_add", value_add)
    nanoseconds("Array_read", array_read)
    nanoseconds("Array_write", array_write)
    nanoseconds("Dict_read", dict_read)
    nanoseconds("Dict_write", dict_write)
    nanoseconds("Dict_add", dict_add)


CASES = (
    thread_start,
    lock,
    ping_pong,
    one_way,
    process_queue,
    process_pool,
    process_start,
    shared,
    manager,
    string,
    table,
    tasks,
    cells,
    futures,
)

if __name__ == "__main__":
    for case in CASES:
        if len(sys.argv) == 1 or case.__name__ in sys.argv[1:]:
            case()
