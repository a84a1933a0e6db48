"""Image archives of strangers: read without unpacking, written anew with one name, refused in a sentence when hostile."""

import gzip
import hashlib
import io
import json
import pathlib
import posixpath
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from higgins.agent.hands import archive, members
from higgins.core import errors

NAME = "higgins.local/glance:x"
PLENTY = 1 << 30
RELAXED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tar_of(entries: list[tuple[str, bytes]], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def config_of(layers: list[bytes]) -> bytes:
    roots = {"type": "layers", "diff_ids": [f"sha256:{sha(layer)}" for layer in layers]}
    return json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": roots}).encode()


def docker_of(
    layers, *, packed=False, tags=("docker.io/library/nginx:latest",), form=tarfile.PAX_FORMAT, prefix=""
) -> bytes:
    config = config_of(layers)
    named = [
        (f"{prefix}{number}/layer.tar", gzip.compress(one) if packed else one) for number, one in enumerate(layers)
    ]
    manifest = [{"Config": "c.json", "RepoTags": list(tags), "Layers": [name for name, _ in named]}]
    repositories = {"docker.io/library/nginx": {"latest": "x"}}
    return tar_of(
        [
            *named,
            ("repositories", json.dumps(repositories).encode()),
            ("c.json", config),
            ("manifest.json", json.dumps(manifest).encode()),
        ],
        form=form,
    )


def blob(content: bytes, kind: str = "application/vnd.oci.image.manifest.v1+json", **words):
    return (f"blobs/sha256/{sha(content)}", content), {"mediaType": kind, "digest": f"sha256:{sha(content)}", **words}


def oci_of(layers, *, packed=False, nested=False, other=()) -> bytes:
    entries = []

    def kept(content, **words):
        entry, described = blob(content, **words)
        entries.append(entry)
        return described

    config = kept(config_of(layers))
    described = [kept(gzip.compress(one) if packed else one) for one in layers]
    image = kept(json.dumps({"config": config, "layers": described}).encode(), platform={"architecture": "amd64"})
    listed = [*other, image]
    if nested:
        inner = json.dumps({"manifests": listed}).encode()
        listed = [kept(inner, kind="application/vnd.oci.image.index.v1+json")]
    return tar_of([*entries, ("index.json", json.dumps({"manifests": listed}).encode()), ("oci-layout", b"{}")])


def cleaned(tmp_path: pathlib.Path, content: bytes, *, most_bytes: int = PLENTY) -> dict[str, bytes]:
    """The members of what is made of an archive."""
    source = tmp_path / "packed"
    source.write_bytes(content)
    plain = archive.plain(source, tmp_path / "plain", most_bytes=most_bytes)
    image = archive.image_in(plain, "amd64")
    made = b"".join(archive.written(plain, image, NAME, most_bytes=most_bytes))
    assert len(made) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}


def check_clean(made: dict[str, bytes], layers: list[bytes], *, packed: bool = False) -> None:
    (image,) = json.loads(made["manifest.json"])
    assert image["RepoTags"] == [NAME]
    assert set(made) == {"manifest.json", image["Config"], *image["Layers"]}
    assert made[image["Config"]] == config_of(layers)
    found = [made[name] for name in image["Layers"]]
    assert [gzip.decompress(one) if packed else one for one in found] == layers


# A tar begins with a name, so none looks like what is compressed.
LAYERS = st.lists(st.binary(max_size=3000).map(lambda content: b"name" + content), max_size=5)


@RELAXED
@given(layers=LAYERS, packed=st.booleans(), zipped=st.booleans(), form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
       prefix=st.sampled_from(["", "./", "a" * 150 + "/", "ü/"]))  # fmt: skip
def test_what_docker_saved_is_written_anew_under_our_name_alone(tmp_path, layers, packed, zipped, form, prefix):
    content = docker_of(layers, packed=packed, form=form, prefix=prefix)
    check_clean(cleaned(tmp_path, gzip.compress(content) if zipped else content), layers, packed=packed)


@RELAXED
@given(layers=LAYERS, packed=st.booleans(), zipped=st.booleans(), nested=st.booleans())
def test_an_oci_layout_is_taken_too(tmp_path, layers, packed, zipped, nested):
    other = [
        {"digest": f"sha256:{'0' * 64}", "platform": {"architecture": "unknown", "os": "unknown"}},
        {"digest": f"sha256:{'1' * 64}", "platform": {"architecture": "s390x"}},
    ]
    content = oci_of(layers, packed=packed, nested=nested, other=other)
    check_clean(cleaned(tmp_path, gzip.compress(content) if zipped else content), layers, packed=packed)


@RELAXED
@given(data=st.data(), packed=st.booleans())
def test_a_damaged_archive_is_refused_or_still_the_same_image(tmp_path, data, packed):
    layers = [b"first" * 300, b"second" * 300]
    content = bytearray(docker_of(layers, packed=packed) if data.draw(st.booleans()) else oci_of(layers, packed=packed))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    try:
        made = cleaned(tmp_path, bytes(content[:cut]))
    except errors.Invalid:
        return
    (image,) = json.loads(made["manifest.json"])
    diff_ids = json.loads(made[image["Config"]])["rootfs"]["diff_ids"]
    found = [made[name] for name in image["Layers"]]
    assert [f"sha256:{sha(gzip.decompress(one) if packed else one)}" for one in found] == diff_ids
    assert image["RepoTags"] == [NAME]


@RELAXED
@given(content=st.binary(max_size=4096))
def test_what_is_no_archive_is_refused(tmp_path, content):
    with pytest.raises(errors.Invalid):
        cleaned(tmp_path, content)


@RELAXED
@given(
    names=st.lists(
        st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=200), unique=True, max_size=8
    ),
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_members_are_found_where_the_standard_library_finds_them(tmp_path, names, form):
    entries = [(name, name.encode() * 3) for name in names]
    path = tmp_path / "tar"
    path.write_bytes(tar_of(entries, form=form) if entries else tar_of([("a", b"")]))
    if any(name.startswith("/") or posixpath.normpath(name).split("/")[0] == ".." for name in names):
        with pytest.raises(errors.Invalid, match="outside"):
            members.index(path)
        return
    found = members.index(path)
    content = path.read_bytes()
    with tarfile.open(path) as tar:
        expected = {members.inside(entry.name): tar.extractfile(entry).read() for entry in tar if entry.isreg()}
    assert {name: content[one.offset : one.offset + one.size] for name, one in found.items()} == expected


def hostile(kind: str) -> bytes:
    layer = b"layer" * 100
    config = config_of([layer])

    def listed(*entries, config_at="c.json", layers=("l.tar",), images=1):
        one = {"Config": config_at, "RepoTags": ["x:y"], "Layers": list(layers)}
        return tar_of([*entries, ("manifest.json", json.dumps([one] * images).encode())])

    good = [("c.json", config), ("l.tar", layer)]
    special = {"device": tarfile.CHRTYPE, "fifo": tarfile.FIFOTYPE}
    if kind in special or kind in ("link outside", "hard link outside", "absolute link"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            entry = tarfile.TarInfo("l.tar")
            entry.type = special.get(kind, tarfile.LNKTYPE if kind.startswith("hard") else tarfile.SYMTYPE)
            entry.linkname = "/etc/shadow" if kind == "absolute link" else "../../etc/shadow"
            tar.addfile(entry)
        return buffer.getvalue() + listed(good[0])
    return {
        "a member outside": lambda: listed(*good, ("../../etc/cron.d/x", b"evil")),
        "an absolute member": lambda: listed(*good, ("/etc/passwd", b"evil")),
        "a layer outside": lambda: listed(*good, layers=["../../etc/shadow"]),
        "an absolute config": lambda: listed(*good, config_at="/etc/passwd"),
        "a missing layer": lambda: listed(good[0]),
        "a layer of somebody else": lambda: listed(good[0], ("l.tar", b"another")),
        "two images": lambda: listed(*good, images=2),
        "no images": lambda: listed(*good, images=0),
        "more layers than named": lambda: listed(*good, layers=["l.tar", "l.tar"]),
        "a manifest that is no list": lambda: tar_of([("manifest.json", b"{}")]),
        "a manifest of nonsense": lambda: tar_of([("manifest.json", b'[{"Config": 3, "Layers": {}}]')]),
        "a manifest nested deep": lambda: tar_of([("manifest.json", b"[" * 100_000)]),
        "a config without layers": lambda: listed(("c.json", b'{"rootfs": 3}'), good[1]),
        "an index in itself": lambda: oci_of([], other=[{"digest": "sha256:x"}]),
        "neither": lambda: tar_of(good),
        "zstd": lambda: listed(good[0], ("l.tar", b"\x28\xb5\x2f\xfd" + bytes(100))),
        "a broken gzip": lambda: gzip.compress(listed(*good))[:-20],
        "a huge manifest": lambda: tar_of([("manifest.json", b" " * (archive.MOST_TEXT_BYTES + 1))]),
        "too many members": lambda: tar_of([(str(number), b"") for number in range(members.MOST_MEMBERS + 1)]),
    }[kind]()  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    ["device", "fifo", "link outside", "hard link outside", "absolute link", "a member outside", "an absolute member", "a layer outside",
     "an absolute config", "a missing layer", "a layer of somebody else", "two images", "no images", "more layers than named",
     "a manifest that is no list", "a manifest of nonsense", "a manifest nested deep", "a config without layers", "neither", "zstd",
     "a broken gzip", "a huge manifest", "too many members"],
)  # fmt: skip
def test_a_hostile_archive_is_refused_in_a_sentence(tmp_path, kind):
    with pytest.raises(errors.Invalid, match=r"^The image's archive cannot be used: .*\.$"):
        cleaned(tmp_path, hostile(kind))


@pytest.mark.parametrize("nested", [False, True])
def test_a_bomb_is_not_unpacked_to_its_end(tmp_path, nested):
    bomb = bytes(50 << 20)
    content = docker_of([bomb], packed=True) if nested else gzip.compress(docker_of([bomb]))
    assert len(content) < 1 << 20
    with pytest.raises(errors.Invalid, match="more than"):
        cleaned(tmp_path, content, most_bytes=4 << 20)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 8 << 20


def test_a_header_that_claims_gigabytes_is_not_believed(tmp_path):
    huge = tarfile.TarInfo("x")
    huge.type, huge.size = tarfile.XHDTYPE, 8 << 30
    path = tmp_path / "tar"
    with path.open("wb") as file:
        file.write(huge.tobuf(tarfile.GNU_FORMAT))
        file.truncate(9 << 30)
    with pytest.raises(errors.Invalid, match="too big"):
        members.index(path)


def test_links_inside_of_the_archive_lead_to_what_they_name(tmp_path):
    layer = b"the same twice"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in (("a/layer.tar", layer), ("c.json", config_of([layer, layer]))):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("b/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../a/layer.tar"
        tar.addfile(link)
        manifest = json.dumps([{"Config": "c.json", "Layers": ["a/layer.tar", "b/layer.tar"]}]).encode()
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest))
    check_clean(cleaned(tmp_path, buffer.getvalue()), [layer, layer])


def test_no_manifest_is_given_away_before_the_layers_were_checked(tmp_path):
    source = tmp_path / "tar"
    source.write_bytes(hostile("a layer of somebody else"))
    image = archive.image_in(source, "amd64")
    given = []
    with pytest.raises(errors.Invalid):
        given.extend(archive.written(source, image, NAME, most_bytes=PLENTY))
    assert b"manifest.json" not in b"".join(given)
