"""The `stemcls` command, also as `python -m stemcls`; it answers signals from the start."""

import os
import signal


def main() -> None:
    """Run the command line; the exit code says how it ended (0, 1, 2, 3 or 130)."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no hang-up
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    from stemcls.cli import main as run

    run()


def _leave(number: int, _frame: object) -> None:
    """End at once: while modules are imported nothing is under way that could be lost."""
    by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    os.write(2, f"stemcls: interrupted{by}\n".encode())
    os._exit(130)


if __name__ == "__main__":
    main()
