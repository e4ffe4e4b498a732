"""The whole thing on the examples: stages into a store, a webhook receiver, the service, history.

`make demo` runs it. Each job is fired once at once, so that there is something to see within
seconds; from then on cron fires all three every minute. Ctrl-C ends everything cleanly.
`--port 0` takes a free port for the receiver, `--once` ends after the first three runs.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
JOBS = ("sprint-tick", "health-check", "nightly-digest")
PORT = 8765


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def run(*command: str) -> None:
    shown = [f".venv/bin/{Path(command[0]).name}", *command[1:]]
    say("$ " + shlex.join(shown))
    finished = subprocess.run(command, cwd=TOP, check=False)
    if finished.returncode:
        raise SystemExit(f"that failed with exit code {finished.returncode}")


def sync_stages() -> None:
    command = [str(BIN / "noether-stage"), "sync", "examples/stages", "--store", ".demo/store.json"]
    say("$ .venv/bin/noether-stage sync examples/stages --store .demo/store.json")
    finished = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, check=False)
    counts = json.loads(finished.stdout)["data"]["counts"] if finished.stdout else {}
    print(", ".join(f"{count} {what}" for what, count in counts.items()), flush=True)
    if finished.returncode:
        raise SystemExit(f"that failed with exit code {finished.returncode}")


def wait_until_ready(service: "subprocess.Popen[bytes]", config: str) -> None:
    """Returns once the service answers; the service itself says why when it does not start."""
    command = [str(BIN / "noether-scheduler"), "status", "--alive", "--config", config]
    while service.poll() is None:
        asked = subprocess.run(command, cwd=TOP, stdout=subprocess.DEVNULL, check=False)
        if asked.returncode == 0:
            return
    raise SystemExit(f"the service ended with exit code {service.returncode}")


def start_receiver(port: int) -> tuple[subprocess.Popen[str], str]:
    receiver = subprocess.Popen(
        [sys.executable, str(TOP / "examples" / "webhook_receiver.py"), str(port)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert receiver.stdout is not None
    first = receiver.stdout.readline()
    if not first.startswith("listening on "):
        raise SystemExit(f"the webhook receiver did not start; is port {port} in use?")
    return receiver, first.removeprefix("listening on ").strip()


def configuration(address: str) -> Path:
    """The example configuration, with the receiver's address where it differs from the written."""
    written = TOP / "examples" / "scheduler.json"
    if address.endswith(f":{PORT}"):
        return written
    moved = TOP / ".demo" / "scheduler.json"
    text = written.read_text(encoding="utf-8").replace(f"http://127.0.0.1:{PORT}", address)
    moved.write_text(text, encoding="utf-8")
    return moved


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--once", action="store_true")
    options = parser.parse_args()
    (TOP / ".demo").mkdir(mode=0o700, exist_ok=True)
    scheduler = str(BIN / "noether-scheduler")

    sync_stages()
    receiver, address = start_receiver(options.port)
    config = str(configuration(address).relative_to(TOP))
    assert receiver.stdout is not None
    os.set_blocking(receiver.stdout.fileno(), True)
    echo = subprocess.Popen(["cat"], stdin=receiver.stdout, start_new_session=True)

    say(f"$ .venv/bin/noether-scheduler --config {config}    (Ctrl-C ends it)")
    service = subprocess.Popen(
        [scheduler, "--config", config], cwd=TOP, env={**os.environ, "PWD": str(TOP)}
    )
    try:
        wait_until_ready(service, config)
        for job in JOBS:
            run(scheduler, "run", job, "--config", config)
        run(scheduler, "history", "--config", config)
        say(
            "From here on every job fires on the minute. In a second terminal:\n"
            f"  .venv/bin/noether-scheduler status  --config {config}\n"
            f"  .venv/bin/noether-scheduler history --config {config}\n"
            f"  .venv/bin/noether-scheduler show RUN_ID --config {config}\n"
            "Ctrl-C ends the service."
        )
        if options.once:
            service.send_signal(signal.SIGTERM)
        return service.wait()
    except KeyboardInterrupt:
        return service.wait()
    finally:
        if service.poll() is None:
            service.terminate()
            service.wait()
        receiver.terminate()
        receiver.wait()
        echo.wait()
        say("everything has ended; the history stays in .demo/scheduler")


if __name__ == "__main__":
    raise SystemExit(main())
