"""Under which account the embedded PostgreSQL runs, and who may reach it."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from dinsight.errors import DatabaseUnavailable
from dinsight.postgres import EmbeddedPostgres
from dinsight.postgres_account import find_binaries, find_launcher
from tests.postgres_kit import FAST, ask, finish, next_line, postmaster, python, running

pytest_plugins = ["tests.postgres_fixtures"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else too")

DOCKER = (
    "--bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,"
    "+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap"
)
POWERLESS = "--bounding-set=-dac_override,-dac_read_search"
EVERYTHING = "--no-new-privs"

IMPORTS = """
import encodings.idna, os, pwd, sys, psycopg2
from pathlib import Path
import sqlalchemy.dialects.postgresql.psycopg2
from dinsight.errors import DatabaseUnavailable
from dinsight.postgres import EmbeddedPostgres
"""
# After the imports: as `nobody` this virtual environment may be out of reach.
BECOME_NOBODY = """
nobody = pwd.getpwnam("nobody")
os.setgroups([]); os.setresgid(*[nobody.pw_gid] * 3); os.setresuid(*[nobody.pw_uid] * 3)
"""
USE = """
database = EmbeddedPostgres(
    Path(sys.argv[1]), binaries=Path(sys.argv[2]), options={"fsync": "off"}
)
try:
    database.start()
except DatabaseUnavailable as error:
    sys.exit(print(error.message, flush=True))
where = dict(host=sys.argv[1] + "/data", port=5432, dbname="dinsight", user="dinsight")
connection = psycopg2.connect(**where)
cursor = connection.cursor()
cursor.execute("SELECT 'it works'")
print(cursor.fetchone()[0], flush=True)
connection.close()
sys.stdin.read()
database.stop()
"""
CONNECT = """
for user in "dinsight", "postgres":
    try:
        psycopg2.connect(host=sys.argv[1], port=5432, dbname="dinsight", user=user)
        print("let in")
    except psycopg2.OperationalError as error:
        print(str(error).splitlines()[0])
"""


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that `nobody` owns, in a place that everybody can pass."""
    folder = Path(tempfile.mkdtemp(prefix="dinsight-test-", dir="/tmp"))
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def copy_programs(to: Path) -> Path:
    """The programs of the wheel with what they load, laid out as in the wheel."""
    programs = find_binaries()
    package = programs.parents[1]
    install = to / package.name / programs.parent.name
    (install / "bin").mkdir(parents=True)
    for name in ("initdb", "postgres"):
        shutil.copy(programs / name, install / "bin" / name)
    for name in ("lib/postgresql", "share"):
        shutil.copytree(programs.parent / name, install / name)
    libraries = package.with_name(package.name + ".libs")
    shutil.copytree(libraries, to / libraries.name)
    return install / "bin"


def uid_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def capabilities_of(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("CapEff:")), 16)


def test_root_runs_postgres_as_another_account_without_any_power(folder: Path) -> None:
    with EmbeddedPostgres(folder, options=FAST):
        names = {entry.pw_name for entry in pwd.getpwall()}
        expected = "postgres" if "postgres" in names else "nobody"
        assert uid_of(postmaster(folder)) == pwd.getpwnam(expected).pw_uid
        assert capabilities_of(postmaster(folder)) == 0
        assert (folder / "data").stat().st_uid == pwd.getpwnam(expected).pw_uid
        assert folder.stat().st_uid == 0


def test_normal_user_runs_postgres_as_itself_and_root_runs_it_for_that_user(
    open_place: Path,
) -> None:
    folder = open_place / "a folder" / "postgres"
    programs = copy_programs(open_place)
    owner = pwd.getpwnam("nobody").pw_uid
    with python(IMPORTS + BECOME_NOBODY + USE, folder, programs) as nobody:
        assert next_line(nobody) == "it works"
        assert uid_of(postmaster(folder)) == owner
        assert finish(nobody) == 0
    with EmbeddedPostgres(folder, options=FAST) as url:
        assert uid_of(postmaster(folder)) == owner
        assert ask(url, "SELECT 1") == 1
    with python(IMPORTS + BECOME_NOBODY + USE, folder, programs) as nobody:
        assert next_line(nobody) == "it works"
        assert finish(nobody) == 0
    assert not running(folder)


def test_nobody_else_gets_in(open_place: Path, place: Callable[[Path], Path]) -> None:
    folder = place(open_place / "postgres")
    with EmbeddedPostgres(folder, options=FAST) as url:
        assert ask(url, "SELECT 1") == 1
        with python(IMPORTS + BECOME_NOBODY + CONNECT, folder / "data") as nobody:
            assert "Permission denied" in next_line(nobody)
            assert "Permission denied" in next_line(nobody)
        folder.chmod(0o755)
        (folder / "data").chmod(0o755)
        with python(IMPORTS + BECOME_NOBODY + CONNECT, folder / "data") as nobody:
            assert "Peer authentication failed" in next_line(nobody)
            assert "Peer authentication failed" in next_line(nobody)
        with pytest.raises(psycopg2.OperationalError, match="Connection refused"):
            psycopg2.connect(host="127.0.0.1", port=5432, user="dinsight", dbname="dinsight")


@pytest.mark.parametrize(
    ("power", "umask", "kept"),
    [(EVERYTHING, 0o022, 1 << 2), (DOCKER, 0o022, 1 << 1), (EVERYTHING, 0o077, 1 << 1)],
    ids=["all of root's powers", "powers of a container", "unreadable programs"],
)
def test_programs_in_a_closed_folder_run_with_the_least_power_that_does(
    tmp_path: Path, power: str, umask: int, kept: int
) -> None:
    programs = copy_programs(tmp_path / "closed")
    if umask == 0o077:
        for path in [programs, *programs.iterdir()]:
            path.chmod(0o700)
    (tmp_path / "closed").chmod(0o700)
    folder = tmp_path / "postgres"
    with python(IMPORTS + USE, folder, programs, before=("setpriv", power)) as server:
        assert next_line(server) == "it works"
        assert capabilities_of(postmaster(folder)) == kept
        assert finish(server) == 0
    assert not running(folder)
    assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o700


def test_programs_out_of_reach_are_named(tmp_path: Path) -> None:
    programs = copy_programs(tmp_path / "closed")
    (tmp_path / "closed").chmod(0o700)
    with python(
        IMPORTS + USE, tmp_path / "postgres", programs, before=("setpriv", POWERLESS)
    ) as server:
        said = next_line(server)
    account = find_launcher(find_binaries(), tmp_path / "none").account.pw_name
    assert f"in {programs} cannot be run as {account}" in said
    assert "start D'insight as a normal user" in said


def test_account_without_an_entry_is_told(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    os.chown(data, 54321, 54321)
    with pytest.raises(DatabaseUnavailable, match="54321 has no entry"):
        EmbeddedPostgres(tmp_path / "postgres").start()
