"""Jobs of the library: long work that another thread may stop. For `aio` alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ._core import Handle, _c_string, _call, _findings, _on, _raise, check_report
from ._ffi import ffi, lib


class Job:
    """A piece of work. `run` waits for its end in one thread; `stop` may be called from any, also before it begins."""

    def __init__(self, begin: Callable[[Any], None]) -> None:
        self._begin = begin
        self._lock = threading.Lock()
        self._cdata: Any = None
        self._stopped = False

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._cdata is not None:
                lib.hither_job_cancel(self._cdata, ffi.NULL)

    def run(self) -> tuple[int, Any, Any]:
        """The status, the error, and the result or None."""
        out = ffi.new("hither_job **")
        err, result = ffi.new("hither_error *"), ffi.new("hither_result **")
        self._begin(out)
        job = ffi.gc(out[0], lib.hither_job_free)
        with self._lock:
            self._cdata = job
            if self._stopped:
                lib.hither_job_cancel(job, ffi.NULL)
        status = lib.hither_job_result(job, result, err)
        with self._lock:
            self._cdata = None
        ffi.release(job)
        return status, err, None if result[0] == ffi.NULL else ffi.gc(result[0], lib.hither_result_free)


def backup(db: Handle, path: bytes) -> tuple[Callable[[], None], Callable[[], None]]:
    """What does it, and what stops it."""
    job = Job(lambda out: _on(db, lib.hither_job_backup, _c_string(path, "path"), ffi.NULL, out))

    def work() -> None:
        status, err, _ = job.run()
        if status:
            _raise(status, err)

    return work, job.stop


def verify(db: Handle) -> tuple[Callable[[], None], Callable[[], None]]:
    """What does it, and what stops it."""
    job = Job(lambda out: _on(db, lib.hither_job_verify, ffi.NULL, out))
    return lambda: check_report(*job.run()), job.stop


def repair(path: bytes, to: bytes) -> tuple[Callable[[], list[tuple[str, str]]], Callable[[], None]]:
    """What does it, and what stops it."""
    names = _c_string(path, "path"), _c_string(to, "path")
    job = Job(lambda out: _call(lib.hither_job_repair, *names, ffi.NULL, out))

    def work() -> list[tuple[str, str]]:
        status, err, report = job.run()
        if status:
            _raise(status, err)
        return _findings(report)

    return work, job.stop
