"""The state directory of ``higgins-up``: whose it must be, and how files come into it."""

from __future__ import annotations

import os
import stat

import pytest

from higgins.cmd.machine import state


@pytest.mark.parametrize("mode", [0o750, 0o707, 0o777])
def test_a_directory_open_to_others_is_refused_with_what_to_do(tmp_path, mode):
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(state.StateError, match=f"chmod 700 {folder}"), state.locked(folder):
        pass
    folder.chmod(0o700)
    with state.locked(folder) as ours:
        assert ours


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
def test_a_directory_of_somebody_else_is_refused(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(state.StateError, match="another user"), state.locked(folder):
        pass


def test_a_new_directory_is_private(tmp_path):
    with state.locked(tmp_path / "a" / "state") as ours:
        assert ours
    assert stat.S_IMODE((tmp_path / "a" / "state").stat().st_mode) == 0o700


def test_a_link_in_the_way_of_a_file_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "higgins.conf.new").symlink_to(victim)
    state._write_private(tmp_path / "higgins.conf", "secret")
    assert victim.read_text() == "kept"
    assert (tmp_path / "higgins.conf").read_text() == "secret\n"
    assert stat.S_IMODE((tmp_path / "higgins.conf").stat().st_mode) == 0o600
