"""Snakemake's messages in one line a job: `run_chapter book 01-geom-intuition   12.3 s`.

For a job that failed it is the last line of its log.
"""

import logging
import sys
import time
from pathlib import Path
from typing import NamedTuple

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent


class LogHandler(LogHandlerBase):
    """Writes to stderr, in place of Snakemake's own handler."""

    writes_to_stream = has_filter = has_formatter = True
    writes_to_file = needs_rulegraph = False

    def __post_init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.failed = False

    def emit(self, record: logging.LogRecord) -> None:
        line = self._line(record)
        if line:
            print(line, file=sys.stderr, flush=True)

    def _line(self, record: logging.LogRecord) -> str | None:
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            wildcards = {name: str(value) for name, value in (record.wildcards or {}).items()}
            logs = [Path(path) for path in record.log or []]
            self.jobs[record.jobid] = Job(record.rule_name, wildcards, logs, time.monotonic())
        elif event == LogEvent.JOB_FINISHED and record.job_id in self.jobs:
            job = self.jobs[record.job_id]
            return None if job.rule == "all" else f"{job.name:<44} {time.monotonic() - job.started:6.1f} s"
        elif event == LogEvent.JOB_ERROR and record.jobid in self.jobs:
            self.failed = True
            job = self.jobs[record.jobid]
            return f"{job.name}  FAILED  {job.last_words()}  ({', '.join(map(str, job.kept()))})"
        elif event == LogEvent.ERROR:
            # a RuleException comes before its JOB_ERROR and holds the whole command
            return None if self.failed or record.exception == "RuleException" else _one_line(record.getMessage())
        elif event is None and record.levelno >= logging.WARNING and not self.failed:
            return _one_line(record.getMessage())
        return None


def _one_line(message: str) -> str:
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    return lines[-1] if "Traceback" in message else " ".join(lines)


class Job(NamedTuple):
    """What a job's lines need; `started` is a time of time.monotonic."""

    rule: str
    wildcards: dict[str, str]
    logs: list[Path]
    started: float

    @property
    def name(self) -> str:
        return " ".join([self.rule, *self.wildcards.values()])

    def last_words(self) -> str:
        """The last line of the log, without this folder's name."""
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in self.logs if path.is_file()]
        lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
        return lines[-1].replace(f"{Path.cwd()}/", "") if lines else "without a message"

    def kept(self) -> list[Path]:
        """Files that say more: the log, and a chapter's notebook as far as it got."""
        folder = Path("build/runs", self.wildcards.get("profile", ""))
        partial = folder / f"{self.wildcards.get('slug')}.partial.ipynb"
        return [path for path in (*self.logs, partial) if path.is_file()]
