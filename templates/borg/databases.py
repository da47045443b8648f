#!/usr/bin/env python3
"""Copies every SQLite database below the sources whole, since a file that is written while Borg reads it may come back torn.

Writes the copies below COPIES under the path that Borg would have seen, and into EXCLUDE the originals that Borg leaves
out for them. What cannot be copied stays among Borg's sources, and is named in FAILED: the rest of the night goes on.
With `--look` it only opens each of them.
"""
import fnmatch
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from urllib.parse import quote

STATE = "/var/lib/borg"
COPIES, EXCLUDE, FAILED = (os.path.join(STATE, name) for name in ("databases", "databases.exclude", "databases.failed"))
MAGIC = b"SQLite format 3\0"
COMPANIONS = ("", "-wal", "-shm", "-journal")
BUSY = 60


def databases(settings):
    """The databases below the sources, without what Borg leaves out and without our own copies."""
    def left_out(path):
        return any(fnmatch.fnmatchcase(path, pattern) or path.startswith(pattern.rstrip("/") + "/") for pattern in settings["leave_out"])

    def unreadable(error):
        if not isinstance(error, FileNotFoundError):
            raise error

    for source in settings["sources"]:
        for folder, folders, files in os.walk("/source" + source, onerror=unreadable):
            folders[:] = sorted(
                name for name in folders
                if not left_out(os.path.join(folder, name)) and not os.path.samefile(os.path.join(folder, name), STATE)
            )
            for name in sorted(files):
                path = os.path.join(folder, name)
                if not left_out(path) and not os.path.islink(path) and os.path.isfile(path) and begins_as_one(path):
                    yield path


def begins_as_one(path):
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except FileNotFoundError:
        # Gone since the folder was listed.
        return False


def opened(path, mode):
    found = sqlite3.connect("file:" + quote(path) + "?mode=" + mode, uri=True, timeout=BUSY)
    found.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return found


def standing(path):
    """What shows that nobody wrote: size and time of each of its files."""
    found = {}
    for end in COMPANIONS:
        try:
            seen = os.stat(path + end)
            found[end] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
        except FileNotFoundError:
            pass
    return found


def with_database(path, use):
    """Calls `use` with the open database. One with a log that nobody has open cannot be opened in a folder that is
    read-only: its files stand still, so they are copied beside each other and opened there."""
    try:
        source = opened(path, "ro")
    except sqlite3.OperationalError:
        with tempfile.TemporaryDirectory(dir=STATE) as beside:
            before = standing(path)
            there = os.path.join(beside, "database")
            for end in before:
                if end != "-shm":
                    shutil.copyfile(path + end, there + end)
            if standing(path) != before:
                raise sqlite3.OperationalError("it is written and cannot be opened")
            source = opened(there, "rw")
            try:
                return use(source)
            finally:
                source.close()
    try:
        return use(source)
    finally:
        source.close()


def copied(path, to):
    os.makedirs(os.path.dirname(to), exist_ok=True)

    def copy(source):
        target = sqlite3.connect(to)
        try:
            source.backup(target)
            answer = target.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            target.close()
        if answer != "ok":
            raise sqlite3.DatabaseError(answer)

    try:
        with_database(path, copy)
    except BaseException:
        if os.path.exists(to):
            os.unlink(to)
        raise
    seen = os.stat(path)
    os.chown(to, seen.st_uid, seen.st_gid)
    os.chmod(to, seen.st_mode & 0o7777)


def main():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "databases.json")) as file:
        settings = json.load(file)
    look = sys.argv[1:] == ["--look"]
    new = COPIES + ".new"
    if not look:
        shutil.rmtree(new, ignore_errors=True)
        os.makedirs(new, mode=0o700)
    done, failed = [], []
    for path in databases(settings):
        try:
            if look:
                with_database(path, lambda _: None)
            else:
                copied(path, new + path)
            done.append(path)
        except (sqlite3.Error, OSError) as error:
            failed.append(f"{path}: {error}")
    for line in failed:
        print("not copied:", line, file=sys.stderr)
    if look:
        if failed:
            return 1
        print("every one of", len(done), "databases can be copied")
        return 0
    old = COPIES + ".old"
    shutil.rmtree(old, ignore_errors=True)
    if os.path.exists(COPIES):
        os.rename(COPIES, old)
    os.rename(new, COPIES)
    shutil.rmtree(old, ignore_errors=True)
    with open(EXCLUDE, "w") as file:
        # `pf:` is Borg's pattern for exactly one path.
        file.writelines(f"pf:{path}{end}\n" for path in done for end in COMPANIONS)
    with open(FAILED, "w") as file:
        file.writelines(line + "\n" for line in failed)
    print(len(done), "databases copied")
    return 0


sys.exit(main())
