"""What a hostile or careless client sends: nothing outside the server's folder is touched, and no answer is a bug."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pytest
import requests

from monai_app.errors import StackError
from monai_app.stack import Stack
from tests import warm
from tests.conftest import CHECKOUT, TINY, as_options
from tests.label.conftest import Served, app_in, as_nifti, done, serving

NAMES = (
    "../secret",
    "/etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "tiny_z0001/../../secret",
    "a\x00b",
    "\u202etxt",
    "linked",
    "~root",
    ".",
    "x" * 199,
)
JSON = {"Content-Type": "application/json"}
VOLUME = as_nifti(np.zeros((80, 96, 8, 2), np.uint8), np.eye(4)).getvalue()


def tree(folder: Path, *without: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file of a folder, but for those of others."""
    files = (path for path in folder.rglob("*") if path.is_file() and not any(map(path.is_relative_to, without)))
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.name != "server.log"}


def check(answer: requests.Response, statuses: set[int]) -> None:
    assert answer.status_code in statuses, (answer.request.method, answer.url[:200], answer.text[:300])
    assert "access-control-allow-origin" not in answer.headers
    assert b"the secret" not in answer.content


def test_names_cannot_leave_the_folder(served: Served) -> None:
    root, folder = served.folder.parent, served.folder
    secret = root / "secret.nii.gz"
    secret.write_bytes(as_nifti(np.zeros((80, 96, 3), np.uint8), np.eye(4)).getvalue() + b"the secret")
    outside = root / "outside"
    outside.mkdir()
    for place in ("uploads", "sessions", "labels/original", "cases"):
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / "linked.nii.gz").symlink_to(secret)
    (folder / "labels" / "away").symlink_to(outside)
    case = folder / "cases" / "tiny_z0002.nii.gz"
    case.unlink(missing_ok=True)
    case.symlink_to(secret)
    before = tree(root, folder)
    file = {"file": ("x.nii.gz", VOLUME)}
    label = {"label": ("x.nii.gz", VOLUME)}
    bad = {400, 404, 409, 422}
    for name in NAMES:
        image, id = {"image": name}, {"id": name}
        check(served.ask("GET", "/datastore/image", params=image), bad)
        check(served.ask("GET", "/datastore/image/info", params=image), bad)
        check(served.ask("GET", "/datastore/label", params={"label": name, "tag": "original"}), bad)
        check(served.ask("GET", "/datastore/label", params={"label": "tiny_z0001", "tag": name}), bad)
        check(served.ask("PUT", "/datastore/label", params={**image, "tag": "a"}, files=label), bad)
        if name not in ("linked", "x" * 199):
            check(served.ask("PUT", "/datastore/image", params=image, files=file), bad)
        check(served.ask("DELETE", "/datastore/image", params=id), bad)
        check(served.ask("DELETE", "/datastore/label", params={**id, "tag": name}), bad)
        check(served.ask("POST", "/infer/trained", params=image), bad)
        check(served.ask("POST", "/infer/trained", params={"session_id": name}), bad)
        quoted = urllib.parse.quote(name, safe="")
        for method, path in (("GET", "session"), ("DELETE", "session"), ("GET", "model"), ("POST", "infer")):
            check(served.ask(method, f"/{path}/{quoted}"), {404, 405, 422} | ({200} if name == "." else set()))
    check(served.ask("PUT", "/datastore/label?image=tiny_z0001&tag=away", files=label), {422})
    exported = served.ask("GET", "/datastore/image?image=tiny_z0002")
    check(exported, {200})  # the link is replaced, not followed
    assert not case.is_symlink()
    assert "linked" not in served.ask("GET", "/datastore/?output=all").json()["objects"]
    assert tree(root, folder) == before
    assert not list(outside.iterdir())
    (folder / "labels" / "away").unlink()
    for linked in folder.rglob("linked.nii.gz"):
        linked.unlink()
    assert not [path for path in (root / "home" / "tmp").rglob("*") if path.is_file()]


def test_options_cannot_name_files_or_make_annotations(served: Served) -> None:
    inside = served.ask("POST", "/infer/trained?image=tiny_z0001&output=image").content
    wanted = {"image": "/etc/passwd", "volume": "/etc/passwd", "model": "x", "bundle_path": "/etc", "run": "/etc"}
    answer = served.ask("POST", "/infer/trained?image=tiny_z0001&output=image", data={"params": json.dumps(wanted)})
    assert answer.content == inside
    for params in (
        {"save_label": True, "label_tag": "final"},
        {"save_label": True, "label_tag": "../../x"},
        {"save_label": "yes"},
        {"device": "meta"},
        {"device": "cuda:99; rm"},
        {"device": {"a": 1}},
        {"whole_slab": 1},
    ):
        sent = {"params": json.dumps(params)}
        answer = served.ask("POST", "/infer/trained?image=tiny_z0001&output=json", data=sent)
        check(answer, {200} if str(params.get("device", "")).startswith("cuda") else {422})
    assert served.ask("GET", "/datastore/").json()["completed"] == 4
    volume = {"file": ("x.nii.gz", VOLUME)}
    for told in (r'{"a": "\ud800"}', '{"a":' * 500 + "1" + "}" * 500, "[]", "x"):
        check(served.ask("PUT", "/datastore/image?image=told", data={"params": told}, files=volume), {422})
    lies = json.dumps({"name": "../../.bashrc", "path": "/etc/passwd", "id": "x", "strategy": "x", "a": float("nan")})
    check(served.ask("PUT", "/datastore/image?image=told", data={"params": lies}, files=volume), {200})
    info = served.ask("GET", "/datastore/image/info?image=told").json()
    assert info["name"] == "told.nii.gz"
    assert "path" not in info
    check(served.ask("DELETE", "/datastore/image?id=told"), {200})
    for path, body in (
        ("/scoring/slices", {"model": "x" * 200_000}),
        ("/scoring/slices", {"model": []}),
        ("/activelearning/first", {"label_tag": [1]}),
        ("/train/trained", {"max_epochs": "NaN"}),
        ("/batch/infer/trained", {"label_tag": "final"}),
    ):
        check(served.ask("POST", path, json=body), {404, 422})
    for content in (b"\xff\xfe", b"[NaN]", b'"\\ud800"'):
        check(served.ask("POST", "/train/trained", data=content, headers=JSON), {400, 422})
        check(served.ask("POST", "/train/trained", data=content), {400, 422})
    for origin in ("http://[", "null", "http://evil.example"):
        check(served.ask("GET", "/info/", headers={"Origin": origin}), {403})
    check(served.ask("GET", "/info/", headers={"Host": "evil.example"}), {400})


def nifti(**fields: object) -> bytes:
    header = bytearray(nibabel.Nifti1Image(np.zeros((80, 96, 2, 2), np.uint8), np.eye(4)).to_bytes())
    parsed = nibabel.Nifti1Header(bytes(header[:348]), check=False)
    for name, value in fields.items():
        parsed[name] = value
    return bytes(parsed.binaryblock) + bytes(header[348:])


def test_files_are_refused_for_what_they_are(served: Served) -> None:
    before = served.server.said()
    huge = nifti(dim=[4, 32767, 32767, 32767, 2, 1, 1, 1])
    data_file = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 80 96 2\nencoding: raw\ndata file: /etc/passwd\n\n"
    sheared = nifti(sform_code=1, srow_x=[1, 1, 0, 0], srow_y=[0, 1, 0, 0], srow_z=[0, 0, 1, 0])
    bomb = gzip.compress(nifti() + bytes(1 << 26), 9)
    pickled = b"\x80\x04cposix\nsystem\n"
    assert len(bomb) < 100_000
    for name, content, statuses in (
        ("a.nii", huge, {507}),
        ("a.nii.gz", gzip.compress(huge), {507}),
        ("a.nii.gz", bomb, {422}),
        ("a.nii", nifti(dim=[4, -3, 96, 2, 2, 1, 1, 1]), {422}),
        ("a.nii", nifti(vox_offset=1e30), {422}),
        ("a.nii", nifti(vox_offset=float("nan")), {422}),
        ("a.nii", nifti(datatype=1792, bitpix=128), {422}),
        ("a.nii", nifti(sform_code=1, srow_x=[np.nan] * 4), {422}),
        ("a.nii", sheared, {422}),
        ("a.nrrd", data_file, {422}),
        ("a.nrrd", data_file.replace(b"/etc/passwd", b"LIST"), {422}),
        ("a.pt", pickled, {422}),
        ("a.pkl", pickled, {422}),
        ("a.npy", b"\x93NUMPY", {422}),
        ("a.nii.gz", pickled, {422}),
        ("../../../x.nii.gz/", VOLUME, {422}),
        (".nii.gz", b"", {422}),
        ("a.nii.gz\x00.pt", VOLUME, {400, 422}),
    ):
        check(served.ask("POST", "/infer/trained?output=json", files={"file": (name, content)}), statuses)
        if 507 not in statuses and content is not bomb and content is not sheared:
            check(served.ask("PUT", "/datastore/image?image=odd", files={"file": (name, content)}), {400, 422})
        label = {"label": (name, content)}
        check(served.ask("PUT", "/datastore/label?image=tiny_z0001&tag=final", files=label), {400, 422})
    large = bytes(3 << 20)
    check(served.ask("PUT", "/datastore/image?image=odd", files={"file": ("a.nii", large)}), {413})
    begin = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.nii"\r\n\r\n'
    chunks = (begin if number == 0 else large[:65536] for number in range(48))
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    check(served.ask("PUT", "/datastore/image?image=odd", data=chunks, headers=kind), {413})
    check(served.ask("POST", "/infer/trained?image=tiny_z0001&output=json"), {200})
    assert "Traceback" not in served.server.said().removeprefix(before)


def test_what_comes_at_once_is_kept_once_and_whole(served: Served) -> None:
    def put(number: int) -> int:
        file = as_nifti(np.full((80, 96, 2), number, np.uint8), np.eye(4))
        return served.ask("PUT", "/datastore/image?image=race", files={"file": ("x.nii.gz", file)}).status_code

    def label(number: int) -> int:
        file = as_nifti(np.full((80, 96, 2), number, np.uint8), np.eye(4))
        return served.ask(
            "PUT", "/datastore/label?image=race&tag=mine", files={"label": ("x.nii.gz", file)}
        ).status_code

    def read(path: str) -> bytes:
        answer = served.ask("GET", path)
        assert answer.ok, answer.text
        return answer.content

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(put, range(6))) == [200] + [409] * 5
        assert list(pool.map(label, range(8))) == [200] * 8
        path = served.folder / "cases" / "tiny_z0004.nii.gz"
        path.unlink(missing_ok=True)
        assert len(set(pool.map(read, ["/datastore/image?image=tiny_z0004"] * 8))) == 1
        assert len(set(pool.map(read, ["/datastore/label?label=tiny_z0003&tag=final"] * 8))) == 1
        saved = pool.submit(read, "/datastore/label?label=race&tag=mine").result()
        values = np.unique(nibabel.Nifti1Image.from_bytes(gzip.decompress(saved)).dataobj)
        assert len(values) == 1  # one client's, whole
        removed = list(pool.map(lambda _: served.ask("DELETE", "/datastore/image?id=race").status_code, range(4)))
    assert 200 in removed
    assert set(removed) <= {200, 404}
    assert not list(served.folder.rglob("*.partial*"))


def test_a_volume_that_cannot_be_labelled_does_not_end_a_batch(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    app = app_in(tmp_path / "label", tiny_stack.path, trained)
    one_detector = tmp_path / "x.nii.gz"
    one_detector.write_bytes(as_nifti(np.zeros((80, 96, 2), np.uint8), np.eye(4)).getvalue())
    app.store.add_image("first", str(one_detector), {})
    request = {"model": "trained", "label_tag": "mine", "max_batch_size": 3}
    with pytest.raises(StackError, match=r"1 of 3 images \(first\) .* 1 detector.*DELETE"):
        done(app.batch_infer, request)
    assert app.store.get_labeled_images("mine") == ["tiny_z0000", "tiny_z0001"]
    app.store.remove_image("first")
    assert list(done(app.batch_infer, request)) == ["tiny_z0000", "tiny_z0001", "tiny_z0002"]


def test_nothing_of_the_interface_fails_whatever_is_sent(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    """By hand, longer: FUZZ="--minutes 10 --seed 7" python -m pytest -s tests/label/http/test_safety.py -k fails."""
    pytest.importorskip("schemathesis")
    stack = Path(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))
    words = ("--bundle", trained, "--bundle", "fibsem_unet_segmentation", *as_options(TINY))
    with serving(
        stack, tmp_path / "home", *words, "--max-upload", "2MiB", "--waiting", 2, python=warm.python()
    ) as served:
        client = tmp_path / "client"
        temporary = tmp_path / "home" / "tmp"  # a training that is stopped leaves a folder there, until the next one
        without = (served.folder, stack / "labels", client, temporary)
        before = tree(tmp_path, *without)
        fuzz(served.server.url, client)
        for path in ("train/", "scoring/", "batch/infer"):
            served.ask("DELETE", f"/{path}")
        assert "Traceback" not in served.server.said()
        assert tree(tmp_path, *without) == before
        assert all(path.name.startswith("monai-app-configs-") for path in temporary.iterdir())
        check_annotations(stack)
        answer = served.ask("POST", "/infer/trained?image=tiny_z0001&output=image")
    # What another process of the same folder says, with the weights that count by now.
    expected = done(app_in(served.folder, stack, trained).infer, {"model": "trained", "image": "tiny_z0001"})
    assert answer.content == Path(expected["file"]).read_bytes()


def fuzz(url: str, folder: Path) -> None:
    """Run tests/label/fuzz.py, apart because schemathesis changes what hypothesis does in its process."""
    folder.mkdir()
    words = os.environ.get("FUZZ", "").split()
    environment = {"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    command = [sys.executable, "-B", "-W", "ignore", "-m", "tests.label.fuzz", url, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-10_000:]


def check_annotations(path: Path) -> None:
    """Whether a stack can be read, and its annotations hold phases and 0 alone."""
    stack = Stack.open(path)
    known = {0, *(phase.value for phase in stack.phases)}
    for z in (*stack.train_slices, *stack.test_slices):
        assert set(np.unique(stack.read_annotation(z)).tolist()) <= known
