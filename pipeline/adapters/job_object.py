"""Windows' Job Objects: what a child starts belongs to its job, and all of it ends with the last handle to the job.

Elsewhere a session and the mark in the environment do the same work (`process_tree`), and `Job.hold` gives None.
Source: learn.microsoft.com, "Job Objects" and JOBOBJECT_EXTENDED_LIMIT_INFORMATION.
"""

from __future__ import annotations

import sys
from typing import Protocol


class Job(Protocol):
    def end(self) -> None:
        """Ends every process of the job."""

    def close(self) -> None:
        """Gives the handle back, which ends whatever still runs in the job."""


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _KILL_ON_JOB_CLOSE = 0x2000
    _EXTENDED_LIMIT_INFORMATION = 9
    _SET_QUOTA_AND_TERMINATE = 0x0100 | 0x0001

    class _Limits(ctypes.Structure):
        """JOBOBJECT_EXTENDED_LIMIT_INFORMATION, flattened: same order, sizes and alignment as the nested one."""

        _fields_ = (
            ("PerProcessUserTimeLimit", ctypes.c_int64),
            ("PerJobUserTimeLimit", ctypes.c_int64),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
            ("IoInfo", ctypes.c_uint64 * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    class _WindowsJob:
        def __init__(self, handle: int) -> None:
            self._handle: int | None = handle

        def end(self) -> None:
            if self._handle is not None:
                _kernel().TerminateJobObject(self._handle, 1)

        def close(self) -> None:
            if self._handle is not None:
                _kernel().CloseHandle(self._handle)
                self._handle = None

    def _kernel() -> ctypes.WinDLL:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateJobObjectW.restype = wintypes.HANDLE
        kernel.CreateJobObjectW.argtypes = (ctypes.c_void_p, wintypes.LPCWSTR)
        kernel.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD)
        kernel.OpenProcess.restype = wintypes.HANDLE
        kernel.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
        kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
        kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
        kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
        return kernel

    def _assign(handle: int, pid: int) -> bool:
        kernel = _kernel()
        process = kernel.OpenProcess(_SET_QUOTA_AND_TERMINATE, False, pid)
        if not process:
            return False
        try:
            return bool(kernel.AssignProcessToJobObject(handle, process))
        finally:
            kernel.CloseHandle(process)

    def _hold(pid: int) -> Job | None:
        kernel = _kernel()
        handle = kernel.CreateJobObjectW(None, None)
        if not handle:
            return None
        limits = _Limits(LimitFlags=_KILL_ON_JOB_CLOSE)
        kernel.SetInformationJobObject(handle, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits))
        job = _WindowsJob(handle)
        if _assign(handle, pid):
            return job
        job.close()
        return None

else:

    def _hold(pid: int) -> Job | None:
        return None


def hold(pid: int) -> Job | None:
    """Puts a (suspended) process into a job of its own; None where there are no jobs or it may not be put into one."""
    return _hold(pid)
