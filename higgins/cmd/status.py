"""``higgins-status upgrade check``: whether this installation is ready for the code that is installed. Changes nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from higgins.cmd import parts
from higgins.conf import load
from higgins.core import errors
from higgins.engine.load import known
from higgins.store import migrate
from higgins.store.records import installation

Success, Warning_, Failure = upgradecheck.Code.SUCCESS, upgradecheck.Code.WARNING, upgradecheck.Code.FAILURE


class Checks(upgradecheck.UpgradeCommands):
    """The checks, run in this order."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__()
        self._conf = conf

    def check_schema(self) -> upgradecheck.Result:
        """The database is at this code's schema."""
        try:
            current = migrate.current(load.database_url(self._conf))
        except errors.HigginsError as error:
            return upgradecheck.Result(Failure, error.message)
        if current == migrate.head():
            return upgradecheck.Result(Success)
        return upgradecheck.Result(
            Failure, f"The database is at {current}, the code at {migrate.head()}. Run: higgins-manage db upgrade"
        )

    def check_key(self) -> upgradecheck.Result:
        """The key opens what the database holds."""
        path = Path(load.in_state(self._conf, self._conf.secrets.key_file, "secret.key"))
        if not path.exists():
            return upgradecheck.Result(
                Failure, f"There is no key at {path}. Without it no sealed value can be read: restore it from a backup."
            )
        try:
            with parts.open_database(self._conf).read() as tx:
                installation.uuid(tx)
                installation.ensure(tx, parts.open_sealer(self._conf))
        except errors.HigginsError as error:
            return upgradecheck.Result(Failure, error.message)
        return upgradecheck.Result(Success)

    def check_engine(self) -> upgradecheck.Result:
        """The engine named has a driver."""
        name = self._conf.engine.name
        if name in known():
            return upgradecheck.Result(Success)
        return upgradecheck.Result(Warning_, f"No driver for the engine '{name}'; there are: {', '.join(known())}.")

    _upgrade_checks = (
        ("Database schema", check_schema),
        ("Key of sealed values", check_key),
        ("Engine driver", check_engine),
    )


def main() -> int:
    """0 when all is well, 1 for warnings, 2 for failures, 255 for a broken check."""
    conf = load.prepared()
    code: int = upgradecheck.main(conf, "higgins", Checks(conf), sys.argv[1:], load.default_files())
    return code


if __name__ == "__main__":
    sys.exit(main())
