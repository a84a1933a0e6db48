"""cp both ways, with directories, contents of directories, renames, and archives that mean harm."""

import io
import os
import tarfile

import pytest

from higgins.cli import archive
from higgins.cli.errors import CliError


@pytest.fixture
def web(cloud):
    return cloud.add("web")


def _tree(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file() and not p.is_symlink()}


def test_a_file_out_to_a_name_and_into_a_directory(web, root, run, tmp_path):
    (root / "etc").mkdir()
    (root / "etc/conf").write_text("x=1")
    (tmp_path / "out").mkdir()
    assert run("cp", "web:/etc/conf", str(tmp_path / "copy")).exit_code == 0
    assert run("cp", "web:etc/conf", str(tmp_path / "out")).exit_code == 0
    assert (tmp_path / "copy").read_text() == "x=1"
    assert (tmp_path / "out/conf").read_text() == "x=1"


def test_a_directory_out_names_joins_or_spills(web, root, run, tmp_path):
    (root / "srv/sub").mkdir(parents=True)
    (root / "srv/a").write_text("A")
    (root / "srv/sub/b").write_text("B")
    (root / "srv/link").symlink_to("/nowhere/else")
    whole = {"a": "A", "sub/b": "B"}
    for name in ("joined", "spilled"):
        (tmp_path / name).mkdir()
    assert run("cp", "web:/srv", str(tmp_path / "named")).exit_code == 0
    assert run("cp", "web:/srv", str(tmp_path / "joined")).exit_code == 0
    assert run("cp", "web:/srv/.", str(tmp_path / "spilled")).exit_code == 0
    assert _tree(tmp_path / "named") == whole
    assert os.readlink(tmp_path / "named/link") == "/nowhere/else"
    assert _tree(tmp_path / "joined/srv") == whole
    assert _tree(tmp_path / "spilled") == whole


def test_a_file_in_to_a_name_and_into_a_directory(web, root, run, tmp_path):
    (root / "etc").mkdir()
    (tmp_path / "conf").write_text("x=2")
    assert run("cp", str(tmp_path / "conf"), "web:/etc").exit_code == 0
    assert run("cp", str(tmp_path / "conf"), "web:/etc/other").exit_code == 0
    assert run("cp", str(tmp_path / "conf"), "web:/").exit_code == 0
    assert _tree(root) == {"etc/conf": "x=2", "etc/other": "x=2", "conf": "x=2"}


def test_a_directory_in_names_joins_or_spills(web, root, run, tmp_path):
    source = tmp_path / "site"
    (source / "sub").mkdir(parents=True)
    (source / "sub/b").write_text("B")
    for name in ("joined", "spilled"):
        (root / name).mkdir()
    assert run("cp", str(source), "web:/named").exit_code == 0
    assert run("cp", str(source), "web:/joined").exit_code == 0
    assert run("cp", f"{source}/.", "web:/spilled").exit_code == 0
    assert _tree(root) == {"named/sub/b": "B", "joined/site/sub/b": "B", "spilled/sub/b": "B"}


def test_a_link_in_the_container_is_followed_and_not_replaced(web, root, run, environment):
    (root / "run").mkdir()
    (root / "var").mkdir()
    (root / "var/run").symlink_to("../run")
    (root / "var/new").symlink_to("../run/made")
    (root / "loop").symlink_to("loop")
    (environment / "f").write_text("1")
    assert run("cp", "f", "web:/var/run").exit_code == 0
    assert run("cp", "f", "web:/var/new").exit_code == 0
    assert (root / "var/run").is_symlink()
    assert _tree(root / "run") == {"f": "1", "made": "1"}
    assert "lead in a circle" in run("cp", "f", "web:/loop").stderr


def test_a_path_that_ends_with_a_slash_is_not_looked_at_first(web, cloud, root, run, environment):
    (root / "big").mkdir()
    (environment / "d").mkdir()
    (environment / "d/f").write_text("1")
    assert run("cp", "d", "web:/big/").exit_code == 0
    assert run("cp", "d/.", "web:/big/").exit_code == 0
    assert _tree(root) == {"big/d/f": "1", "big/f": "1"}
    assert not [path for _, path in cloud.paths() if path.endswith("get_archive")]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["web:/none", "here"], 1, "There is no /none in web."),
        (["web:/file", "no/such/here"], 1, "There is no directory no/such."),
        (["web:/file", "new/"], 1, "There is no directory new/."),
        (["web:/dir", "taken"], 1, "taken is a file, and /dir is a directory."),
        (["missing", "web:/"], 1, "There is no missing on this machine."),
        (["taken", "web:/no/such/file"], 1, "There is no directory /no/such in web."),
        (["taken", "web:/new/"], 1, "There is no directory /new/ in web."),
        ([".", "web:/file"], 1, "/file in web is a file"),
        (["taken", "here"], 2, "One side must be NAME:/PATH"),
        (["web:/a", "web:/b"], 2, "One side must be NAME:/PATH"),
        (["nope:/a", "here"], 1, "There is no container nope."),
    ],
)
def test_what_cannot_be_copied_is_told(words, code, told, web, root, run, environment):
    (root / "file").write_text("1")
    (root / "dir").mkdir()
    (environment / "taken").write_text("mine")
    result = run("cp", *words)
    assert told in result.stderr
    assert result.exit_code == code
    assert (environment / "taken").read_text() == "mine"


def test_a_tar_goes_through_standard_input_and_output(web, root, process, tmp_path):
    (root / "dir").mkdir()
    (root / "dir/a").write_text("A")
    out = process("cp", "web:/dir", "-", text=False)
    with tarfile.open(fileobj=io.BytesIO(out.stdout)) as made:
        assert made.getnames() == ["dir", "dir/a"]
    with (tmp_path / "t.tar").open("wb+") as file:
        file.write(out.stdout)
        file.seek(0)
        assert process("cp", "-", "web:/dir", stdin=file).returncode == 0
    assert (root / "dir/dir/a").read_text() == "A"


def _tar(*members):
    store = io.BytesIO()
    with tarfile.open(fileobj=store, mode="w") as made:
        for name, kind, link, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, len(content)
            made.addfile(info, io.BytesIO(content))
    return store.getvalue()


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", tarfile.REGTYPE, "", b"x")],
        [("d/../../evil", tarfile.REGTYPE, "", b"x")],
        [("d", tarfile.SYMTYPE, "..", b""), ("d/evil", tarfile.REGTYPE, "", b"x")],
        [("d", tarfile.SYMTYPE, "..", b""), ("d/evil/f", tarfile.REGTYPE, "", b"x")],
        [("h", tarfile.LNKTYPE, "../secret", b"")],
        [("d", tarfile.SYMTYPE, "..", b""), ("d", tarfile.DIRTYPE, "", b"")],
    ],
)
def test_an_archive_cannot_write_outside_its_destination(members, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_text("s")
    with pytest.raises(CliError):
        archive.unpack(_tar(*members), inside, None)
    assert not (tmp_path / "evil").exists()
    assert (tmp_path / "secret").read_text() == "s"


def test_a_file_replaces_a_link_instead_of_what_it_points_to(tmp_path):
    (tmp_path / "secret").write_text("s")
    inside = tmp_path / "inside"
    inside.mkdir()
    data = _tar(
        ("f", tarfile.SYMTYPE, "../secret", b""), ("f", tarfile.REGTYPE, "", b"x"), ("/abs", tarfile.REGTYPE, "", b"y")
    )
    assert archive.unpack(data, inside, None) == []
    assert (tmp_path / "secret").read_text() == "s"
    assert (inside / "f").read_text() == "x"
    assert (inside / "abs").read_text() == "y"


def test_hard_links_are_copied_and_devices_left_out(tmp_path):
    data = _tar(
        ("r/a", tarfile.REGTYPE, "", b"A"), ("r/b", tarfile.LNKTYPE, "r/a", b""), ("r/null", tarfile.CHRTYPE, "", b"")
    )
    assert archive.unpack(data, tmp_path, "") == ["r/null"]
    assert _tree(tmp_path) == {"a": "A", "b": "A"}


@pytest.mark.parametrize("own", [["d", "d/a", "d/s/b"], [".", "./a", "./s/b"], ["/", "/a", "/s/b"]])
@pytest.mark.parametrize(("root", "under"), [("", ""), ("new", "new/")])
def test_an_archive_may_call_the_copied_directory_by_any_name(own, root, under, tmp_path):
    members = [
        (own[0], tarfile.DIRTYPE, "", b""),
        (own[1], tarfile.REGTYPE, "", b"A"),
        (own[2], tarfile.REGTYPE, "", b"B"),
    ]
    assert archive.unpack(_tar(*members), tmp_path, root) == []
    assert _tree(tmp_path) == {f"{under}a": "A", f"{under}s/b": "B"}


def test_a_link_to_a_directory_comes_out_as_a_link_or_as_what_it_leads_to(web, root, run, environment):
    (root / "real").mkdir()
    (root / "real/a").write_text("A")
    (root / "link").symlink_to("real")
    assert run("cp", "web:/link/.", "contents").exit_code == 0
    assert run("cp", "web:/link", "kept").exit_code == 0
    assert _tree(environment / "contents") == {"a": "A"}
    assert os.readlink(environment / "kept") == "real"


def test_a_broken_archive_is_told(tmp_path):
    with pytest.raises(CliError, match="no proper archive"):
        archive.unpack(b"not a tar" * 100, tmp_path, None)


def test_packing_leaves_owners_and_sockets_out(tmp_path):
    source = tmp_path / "s"
    source.mkdir()
    (source / "a").write_text("A")
    os.mkfifo(source / "pipe")
    with tarfile.open(fileobj=io.BytesIO(archive.pack(source, "s"))) as made:
        assert made.getnames() == ["s", "s/a"]
        assert {(m.uid, m.uname) for m in made} == {(0, "")}
