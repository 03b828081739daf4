"""Forks, and interpreters that end while a client is open: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent

import pytest

from ..patience import PATIENCE
from .conftest import Gate


def run_program(text: str, *arguments: str) -> str:
    """Run a program with every warning an error; give what it prints."""
    done = subprocess.run(
        # os.fork() in a process with threads is deprecated from Python 3.12 on, and is what the tests are about.
        [sys.executable, "-W", "error", "-W", "ignore:.*fork:DeprecationWarning", "-", *arguments],
        input=dedent(text),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    return done.stdout


pytestmark = pytest.mark.slow

if not hasattr(os, "fork"):
    pytest.skip("what happens in a fork; the system has none", allow_module_level=True)


def test_interpreter_exits_with_an_open_client(server: str, unserved: str) -> None:
    printed = run_program(
        """
        import sys, threading
        from gearman_trio.blocking import AdminClient, Client

        client = Client(sys.argv[1])
        client.echo(b"")
        admin = AdminClient(sys.argv[1])
        admin.version()
        waiting = threading.Thread(target=client.run, args=(sys.argv[2],), daemon=True)
        # It ends with JobLost in the midst of the interpreter's end, or is stopped there.
        threading.excepthook = lambda args: None
        waiting.start()
        while not client.statistics().jobs:
            pass
        print("done")
        """,
        server,
        unserved,
    )

    assert "done\n" == printed


def test_interpreter_exits_with_a_running_worker(server: str) -> None:
    printed = run_program(
        """
        import sys, threading
        from gearman_trio import Abilities
        from gearman_trio.blocking import Client, Worker

        abilities = Abilities()
        started = threading.Event()

        @abilities.function
        def never(workload):
            started.set()
            threading.Event().wait()

        worker = Worker(abilities, sys.argv[1])
        worker.start()
        with Client(sys.argv[1]) as client:
            with client.stream("never"):
                started.wait()
        print("done")
        """,
        server,
    )

    assert "done\n" == printed


def test_atexit_functions_of_the_program_can_still_use_the_client(server: str) -> None:
    printed = run_program(
        """
        import atexit, sys
        from gearman_trio.blocking import Client

        client = Client(sys.argv[1])
        client.echo(b"")
        atexit.register(lambda: print(client.echo(b"last words")))
        """,
        server,
    )

    assert "b'last words'\n" == printed


def test_child_of_a_fork_makes_a_connection_of_its_own(server: str) -> None:
    printed = run_program(
        """
        import os, sys
        from gearman_trio.blocking import AdminClient, Client

        admin = AdminClient(sys.argv[1])
        client = Client(sys.argv[1], client_id="fork-test")
        client.echo(b"")

        def connections():
            return sum(row.client_id == "fork-test" for row in admin.workers(timeout=60))

        assert connections() == 1
        to_child, from_parent = os.pipe()
        to_parent, from_child = os.pipe()
        if os.fork() == 0:
            assert client.echo(b"child", timeout=60) == b"child"
            assert connections() == 2
            os.write(from_child, b"1")
            os.read(to_child, 1)
            client.close()
            sys.exit()
        os.read(to_parent, 1)
        assert client.echo(b"parent", timeout=60) == b"parent"
        client.close()
        # The child has let go of the socket that it inherited, so the server sees that it is closed.
        while connections() != 1:
            pass
        os.write(from_parent, b"1")
        _, status = os.wait()
        admin.close()
        print("child ended with", status)
        """,
        server,
    )

    assert "child ended with 0\n" == printed


def test_child_of_a_fork_does_not_have_the_calls_of_its_parent(server: str, unserved: str) -> None:
    printed = run_program(
        """
        import os, sys, threading
        from gearman_trio import Abilities, ServersUnavailable
        from gearman_trio.blocking import Client, Worker

        abilities = Abilities()
        abilities.function(name="f")(lambda workload: workload)
        worker = Worker(abilities, sys.argv[1])
        worker.start()
        worker.wait_ready()
        client = Client(sys.argv[1])
        with client.stream(sys.argv[2]) as job:
            if os.fork() == 0:
                try:
                    job.result()
                except ServersUnavailable as exc:
                    assert "forked" in str(exc)
                    assert not worker.running
                    worker.stop()
                    sys.exit(7)
                sys.exit(1)
            _, status = os.wait()
        assert worker.running
        worker.stop()
        client.close()
        print("child ended with", os.waitstatus_to_exitcode(status))
        """,
        server,
        unserved,
    )

    assert "child ended with 7\n" == printed


def test_fork_while_other_threads_call(server: str) -> None:
    """Whatever the other threads held at that moment, the child does not wait for it."""
    printed = run_program(
        """
        import os, sys, threading
        from gearman_trio.blocking import Client

        client = Client(sys.argv[1])
        stop = threading.Event()

        def call():
            while not stop.is_set():
                client.echo(b"parent")

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            if os.fork() == 0:
                assert client.echo(b"child", timeout=60) == b"child"
                os._exit(0)
        statuses = {os.wait()[1] for _ in range(10)}
        stop.set()
        for thread in threads:
            thread.join()
        client.close()
        print(statuses)
        """,
        server,
    )

    assert "{0}\n" == printed


def test_signals_stop_a_worker_that_is_the_program(server: str, gate: Gate) -> None:
    printed = run_program(
        """
        import os, signal, sys, threading
        from gearman_trio import Abilities
        from gearman_trio.blocking import Client, Worker

        abilities = Abilities()

        @abilities.function
        def last(workload):
            os.kill(os.getpid(), signal.SIGTERM)
            return b"finished all the same"

        @abilities.function
        def stuck(workload):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait()

        before = signal.getsignal(signal.SIGINT)
        client = Client(sys.argv[1])
        results = []
        calls = threading.Thread(target=lambda: results.append(client.run("last")))
        calls.start()
        Worker(abilities, sys.argv[1]).run()
        calls.join()
        print(results)
        client.submit("stuck")
        Worker(abilities, sys.argv[1]).run()
        assert signal.getsignal(signal.SIGINT) is before
        client.close()
        print("given up")
        """,
        server,
    )

    assert "[b'finished all the same']\ngiven up\n" == printed


def test_signal_of_the_first_job_may_come_while_the_worker_starts(server: str) -> None:
    printed = run_program(
        """
        import os, signal, sys, threading
        from gearman_trio import Abilities
        from gearman_trio.blocking import Client, Worker

        abilities = Abilities()
        killed = threading.Event()

        @abilities.function
        def early(workload):
            os.kill(os.getpid(), signal.SIGTERM)
            killed.set()

        class SlowlyStarted(Worker):
            def _start(self):
                started = super()._start()
                killed.wait()
                return started

        with Client(sys.argv[1]) as client:
            client.submit("early")
        SlowlyStarted(abilities, sys.argv[1]).run()
        print("ended in good order")
        """,
        server,
    )

    assert "ended in good order\n" == printed
