"""Packages: what goes in comes out, and nothing else, nowhere else."""

import json
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monai_app.bundle.packages.archive import pack, unpack
from monai_app.bundle.packages.manifest import MANIFEST, check_files, describe_files, write_manifest
from monai_app.errors import AppError, ConfigError, TargetExistsError

FILES = {"configs/train.yaml": b"seed: 0\n", "models/model.pt": bytes(range(256)) * 999, "empty": b""}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_manifest(folder)
    pack(folder, tmp_path / "model.zip", "model")
    return tmp_path / "model.zip"


def rewrite(package: Path, extra: dict[str, bytes], kinds: dict[str, int] | None = None) -> Path:
    """Write the package anew with other or more files, their kinds as in `stat`."""
    with zipfile.ZipFile(package) as archive:
        content = {entry.filename: archive.read(entry) for entry in archive.infolist()} | extra
    with zipfile.ZipFile(package, "w") as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = ((kinds or {}).get(name, stat.S_IFREG) | 0o644) << 16
            archive.writestr(entry, data)
    return package


def manifest(files: dict[str, bytes], folder: Path) -> bytes:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return json.dumps({"format": 1, "files": describe_files(folder)}).encode()


def assert_refused(package: Path, message: str) -> None:
    place = package.parent / "outside"
    place.mkdir()
    before = sorted(package.parent.rglob("*"))
    with pytest.raises(ConfigError, match=message):
        unpack(package, place / "inside")
    assert sorted(package.parent.rglob("*")) == before


def test_a_package_comes_out_as_it_went_in(package: Path, tmp_path: Path) -> None:
    unpack(package, tmp_path / "out")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES
    assert check_files(tmp_path / "out") == (len(FILES), [])
    with pytest.raises(TargetExistsError):
        unpack(package, tmp_path / "out")
    unpack(package, tmp_path / "out", overwrite=True)


def test_other_programs_unpack_it_too(package: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path / "plain")
    assert check_files(tmp_path / "plain" / "model") == (len(FILES), [])


def test_the_same_files_make_the_same_bytes(package: Path, tmp_path: Path) -> None:
    pack(tmp_path / "model", tmp_path / "again.zip", "model")
    assert (tmp_path / "again.zip").read_bytes() == package.read_bytes()


@pytest.mark.parametrize(
    "name", ["model/../../evil", "/etc/evil", "../evil", "model/a/../../evil", "model\\..\\evil", "C:/evil", "model//x"]
)
def test_names_that_lead_out_of_the_folder_are_refused(package: Path, name: str) -> None:
    assert_refused(rewrite(package, {name: b"evil"}), "leads out|packed twice or outside")


def test_a_manifest_with_a_name_that_leads_out_is_refused(package: Path) -> None:
    listed = {"format": 1, "files": {"../evil": {"bytes": 4, "sha256": "0"}}}
    assert_refused(rewrite(package, {f"model/{MANIFEST}": json.dumps(listed).encode()}), "leads out")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(package: Path, kind: int) -> None:
    assert_refused(rewrite(package, {"model/link": b"/etc"}, {"model/link": kind}), "a link, a device")


def test_changed_missing_and_unlisted_files_are_refused(package: Path, tmp_path: Path) -> None:
    original = package.read_bytes()
    assert_refused(rewrite(package, {"model/configs/train.yaml": b"seed: 1\n"}), "not the file that was packed")
    for content, message in (
        ({"model/configs/extra.yaml": b"x"}, "'configs/extra.yaml' is not both packed and listed"),
        ({f"model/{MANIFEST}": manifest({"absent": b""}, tmp_path / "a")}, "not both packed and listed"),
        ({f"model/{MANIFEST}": b"{}"}, "the manifest is damaged"),
        ({"other/file": b"x"}, "packed twice or outside the folder"),
        ({"model/empty/file": b"x"}, "is inside a file"),
        ({f"model/{MANIFEST}": b"[" * 100_000}, "the manifest is damaged"),
        ({f"model/{MANIFEST}": b'{"format": 1, "files": {"a": {"bytes": true, "sha256": ""}}}'}, "is damaged"),
        ({f"model/{MANIFEST}": b'{"format": 9, "files": {}}'}, "has format 9"),
    ):
        package.write_bytes(original)
        with pytest.raises(ConfigError, match=message):
            unpack(rewrite(package, content), tmp_path / "out")


def test_a_file_larger_than_listed_is_not_read_to_its_end(package: Path, tmp_path: Path) -> None:
    bomb = rewrite(package, {"model/empty": bytes(50_000_000)})
    with pytest.raises(ConfigError, match="larger than listed"):
        unpack(bomb, tmp_path / "out")


def test_a_zip_made_to_fill_the_disk_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bomb"
    folder.mkdir()
    with (folder / "zeros").open("wb") as handle:
        handle.truncate(200_000_000)
    write_manifest(folder)
    pack(folder, tmp_path / "bomb.zip", "bomb")
    with pytest.raises(ConfigError, match="would unpack to 200 MB"):
        unpack(tmp_path / "bomb.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_a_package_of_ours_is_replaced(package: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / MANIFEST).write_text('{"name": "a web page"}')
    with pytest.raises(ConfigError, match="manifest is damaged"):
        unpack(package, tmp_path / "site", overwrite=True)


@pytest.mark.parametrize("name", ["a:b", "a\\b"])
def test_names_that_could_not_be_unpacked_are_not_packed(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).write_text("x")
    with pytest.raises(ConfigError, match="not valid on every system"):
        write_manifest(tmp_path / "folder")


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    for content, message in ((b"not a zip", "not a zip file"), (b"", "not a zip file")):
        (tmp_path / "x.zip").write_bytes(content)
        with pytest.raises(ConfigError, match=message):
            unpack(tmp_path / "x.zip", tmp_path / "out")
    with pytest.raises(ConfigError, match="does not exist"):
        unpack(tmp_path / "absent.zip", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("folder/file", "x")
    with pytest.raises(ConfigError, match="has no manifest"):
        unpack(tmp_path / "plain.zip", tmp_path / "out")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_package_is_refused_or_whole(package: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(package.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged.zip").write_bytes(content)
    try:
        unpack(tmp_path / "damaged.zip", tmp_path / "out", overwrite=True)
    except AppError:
        return
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES


def test_no_bit_of_the_table_of_contents_can_be_changed_into_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "é").write_bytes(b"x")  # a name in UTF-8, so that it can become one in no encoding
    write_manifest(tmp_path / "tiny")
    pack(tmp_path / "tiny", tmp_path / "tiny.zip", "tiny")
    content = (tmp_path / "tiny.zip").read_bytes()
    outcomes = set()
    for place in range(content.index(b"PK\1\2"), len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            (tmp_path / "damaged.zip").write_bytes(damaged)
            target = tmp_path / f"out {place} {bit}"
            try:
                unpack(tmp_path / "damaged.zip", target)
            except AppError as error:
                outcomes.add("zip file version" in str(error))
                assert not target.exists()
            else:
                assert (target / "é").read_bytes() == b"x"
    assert outcomes == {True, False}


def test_files_changed_after_unpacking_are_named(package: Path, tmp_path: Path) -> None:
    unpack(package, tmp_path / "out")
    (tmp_path / "out" / "later.csv").write_text("scores on another stack")
    assert check_files(tmp_path / "out") == (len(FILES), [])
    (tmp_path / "out" / "empty").write_text("no more")
    with pytest.raises(ConfigError, match="empty is not the file that was packed"):
        check_files(tmp_path / "out")
    (tmp_path / "out" / "empty").unlink()
    (tmp_path / "out" / "empty").symlink_to("/dev/null")
    with pytest.raises(ConfigError, match=r"empty is listed in .* but missing"):
        check_files(tmp_path / "out")


def test_scores_that_changed_since_packing_are_listed(package: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for name in ("scores.json", "tiny/slice_0001.png"):
        path = folder / "eval" / "test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was packed")
    write_manifest(folder)
    (folder / "eval" / "test" / "scores.json").write_text("of another stack")
    (folder / "eval" / "test" / "tiny" / "slice_0001.png").unlink()
    assert check_files(folder) == (len(FILES), ["eval/test/scores.json", "eval/test/tiny/slice_0001.png"])
