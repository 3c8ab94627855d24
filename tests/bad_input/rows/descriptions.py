"""Descriptions of samples (``sample.yaml``) and targets of `ingest`."""

from collections.abc import Callable

from monai_app.stack import Stack
from tests.bad_input.row import Make, Place, Row, edit_text, refused, taken

LINE = "ingest SAMPLE/sample.yaml new.ome.zarr"

VOXEL = "voxel_nm: {z: 20, y: 10, x: 10}"
DETECTORS = "detectors: {ICE: ICE, TLD: TLD}"
PORE = '{value: 1, name: pore, colour: "#20304f"}'
CLINKER = '{value: 3, name: clinker, colour: "#d55e00"}'
PHASES = f"""phases:
  - {PORE}
  - {{value: 2, name: hydrate, colour: "#8fb3d9"}}
  - {CLINKER}
"""
MAPPING = "mapping: {1: pore, 2: hydrate, 3: clinker}"
TRAIN = "train: [1, 3, 5]"
TEST = "test: [6]"


def edited(old: str, new: str) -> Make:
    """Make a description with another text in it."""
    return lambda place: edit_text(place.copy("SAMPLE") / "sample.yaml", old, new)


def written(content: str | bytes) -> Make:
    """Make a description with this content."""

    def make(place: Place) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (place.copy("SAMPLE") / "sample.yaml").write_bytes(data)

    return make


def recoded(change: Callable[[bytes], bytes]) -> Make:
    """Make a description of changed bytes."""

    def make(place: Place) -> None:
        path = place.copy("SAMPLE") / "sample.yaml"
        path.write_bytes(change(path.read_bytes()))

    return make


def bad(old: str, new: str, *says: str) -> Row:
    """A description in which somebody wrote something else."""
    if not new:
        return refused(f"no `{old.strip().splitlines()[0]}`", LINE, *says, make=edited(old, new))
    shown = new.strip().splitlines()[-1].strip().rstrip(",")
    shown = shown if shown.count("{") == shown.count("}") else shown.rstrip("}")
    return refused(f"`{shown}`", LINE, *says, make=edited(old, new))


def whole(name: str = "new.ome.zarr", slices: int = 8) -> Make:
    """Check that a store holds all slices and all annotations."""

    def check(place: Place) -> None:
        stack = Stack.open(place.folder / name)
        assert stack.shape[0] == slices
        assert len(stack.train_slices) + len(stack.test_slices) == 4

    return check


def linked(place: Place) -> None:
    (place.folder / "link").symlink_to(place.copy("SAMPLE"))


def renamed(name: str) -> Make:
    return lambda place: place.copy("SAMPLE").rename(place.folder / name)


def file_at(name: str) -> Make:
    def make(place: Place) -> None:
        (place.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (place.folder / name).write_text("mine")

    return make


def folder_at(name: str) -> Make:
    return lambda place: file_at(f"{name}/notes.txt")(place)


def read_only(place: Place) -> None:
    for path in place.copy("SAMPLE").rglob("*.tif"):
        path.chmod(0o444)


ROWS = [
    bad("name: tiny", "", "'name' is missing"),
    bad("name: tiny", "name: 5", "name: 5"),
    bad("name: tiny", "name: ''", "name: ''"),
    bad("name: tiny", "name: [tiny]", "name: ['tiny']"),
    bad("name: tiny", "name:", "name: None"),
    bad(VOXEL, "", "along z, y, x", "voxel_nm: {z: ..., y: ..., x: ...}"),
    bad(VOXEL, "voxel_nm: 10", "voxel_nm", "10"),
    bad(VOXEL, "voxel_nm: [20, 10, 10]", "voxel_nm"),
    bad(VOXEL, "voxel_nm: {z: 20, y: 10}", "along x", "voxel_nm: {x: ...}"),
    bad(VOXEL, "voxel_nm: {z: 20, y: 10, x: 10, t: 1}", "voxel_nm", "'t'"),
    bad("x: 10}", "x: 0}", "voxel_nm::x: 0"),
    bad("x: 10}", "x: -10}", "voxel_nm::x: -10"),
    bad("x: 10}", 'x: "10"}', "voxel_nm::x: '10'"),
    bad("x: 10}", "x: 10 nm}", "voxel_nm::x: '10 nm'"),
    bad("x: 10}", "x: true}", "voxel_nm::x: True"),
    bad("x: 10}", "x: .nan}", "voxel_nm::x: nan"),
    bad("x: 10}", "x: .inf}", "voxel_nm::x: inf"),
    bad("x: 10}", "x: 1.0e+30}", "voxel_nm::x: 1e+30"),
    bad("x: 10}", "x: 1.0e-30}", "voxel_nm::x: 1e-30"),
    bad(DETECTORS, "", "'detectors' is missing"),
    bad(DETECTORS, "detectors: {}", "detectors: {}"),
    bad(DETECTORS, "detectors: [ICE, TLD]", "detectors: ['ICE', 'TLD']"),
    bad(DETECTORS, "detectors: ICE", "detectors: 'ICE'"),
    bad(DETECTORS, "detectors: {my ICE: ICE, TLD: TLD}", "'my ICE'"),
    bad(DETECTORS, "detectors: {a/b: ICE, TLD: TLD}", "'a/b'"),
    bad(DETECTORS, 'detectors: {"a#b": ICE, TLD: TLD}', "'a#b'"),
    bad(DETECTORS, 'detectors: {"": ICE, TLD: TLD}', "''"),
    bad(DETECTORS, "detectors: {1: ICE, TLD: TLD}", "1"),
    bad(DETECTORS, "detectors: {ice: ICE, ICE: TLD}", "'ice' and 'ICE'"),
    bad(DETECTORS, "detectors: {ICE: ICE, ICE: TLD}", "ICE"),
    bad(DETECTORS, "detectors: {ICE: 5, TLD: TLD}", "5"),
    bad(DETECTORS, 'detectors: {ICE: "", TLD: TLD}', "''"),
    bad(DETECTORS, "detectors: {ICE: , TLD: TLD}", "None"),
    bad(DETECTORS, "detectors: {ICE: [ICE], TLD: TLD}", "['ICE']"),
    bad(DETECTORS, "detectors: {ICE: nowhere, TLD: TLD}", "nowhere does not exist"),
    bad(DETECTORS, "detectors: {ICE: ICE, TLD: ICE}", "ICE", "TLD"),
    bad(DETECTORS, "detectors: {ICE: ICE, TLD: ./TLD/../ICE/}", "ICE", "TLD"),
    bad(DETECTORS, "detectors: {ICE: sample.yaml, TLD: TLD}", "sample.yaml"),
    bad(DETECTORS, "detectors: {ICE: ., TLD: TLD}", "sample"),
    refused("a path of 5000 letters", LINE, "aaa", make=edited("ICE: ICE", f"ICE: {'a' * 5000}")),
    bad(PHASES, "", "phase"),
    bad(PHASES, "phases: []\n", "phase"),
    bad(PHASES, "phases: {pore: 1}\n", "phases"),
    bad(PHASES, "phases: pore\n", "phases: 'pore'"),
    bad("value: 1,", "value: 0,", "value: 0"),
    bad("value: 3,", "value: 256,", "value: 256"),
    bad("value: 1,", "value: -1,", "value: -1"),
    bad("value: 1,", "value: 1.5,", "value: 1.5"),
    bad("value: 1,", 'value: "1",', "value: '1'"),
    bad("value: 3,", "value: 4,", "4"),
    bad("value: 3,", "value: 2,", "2"),
    bad("name: clinker,", "name: pore,", "'pore'"),
    bad("name: clinker,", 'name: "",', "name: ''"),
    bad("name: clinker,", "name: [clinker],", "name: ['clinker']"),
    bad("name: clinker,", 'name: "clinker #2",', "clinker #2"),
    bad('colour: "#d55e00"', "colour: orange", "colour: 'orange'"),
    bad('colour: "#d55e00"', "colour: 112233", "colour: 112233"),
    bad('colour: "#d55e00"', 'colour: "#d55e0"', "'#d55e0'"),
    bad('colour: "#d55e00"', "colour: #d55e00", "sample.yaml"),
    bad(CLINKER, "{value: 3, name: clinker}", "'colour' is missing"),
    bad(CLINKER, '{value: 3, name: clinker, color: "#d55e00"}', "'color'"),
    bad(CLINKER, "clinker", "'clinker'"),
    bad("  source: annotations\n", "", "'source' is missing"),
    bad("source: annotations", "source: nowhere", "nowhere does not exist"),
    bad("source: annotations", "source: 5", "source: 5"),
    bad(f"  {MAPPING}\n", "", "'mapping' is missing"),
    bad(MAPPING, "mapping: {}", "mapping: {}"),
    bad(MAPPING, "mapping: [pore, hydrate, clinker]", "mapping: ["),
    bad(MAPPING, "mapping: {pore: 1, hydrate: 2, clinker: 3}", "'pore'"),
    bad(MAPPING, "mapping: {1: pore, 2: hydrate, 3: slag}", "'slag'"),
    bad(MAPPING, "mapping: {1: pore, 2: hydrate, 3: 3}", "3"),
    bad(MAPPING, "mapping: {1: pore, 2: hydrate, 3.5: clinker}", "3.5"),
    bad(MAPPING, "mapping: {0: pore, 2: hydrate, 3: clinker}", "value 0"),
    bad(MAPPING, "mapping: {1: pore, 2: hydrate}", "3"),
    bad("unlabelled: [0]", "unlabelled: 0", "unlabelled: 0"),
    bad("unlabelled: [0]", "unlabelled: [0, 0]", "0 occurs twice"),
    bad("unlabelled: [0]", "unlabelled: [nothing]", "'nothing'"),
    bad("unlabelled: [0]", "unlabelled: []", "0"),
    bad("unlabelled: [0]", "rest_unlabelled: maybe", "rest_unlabelled: 'maybe'"),
    bad(f"  {TRAIN}\n  {TEST}\n", "", "'train' or 'test'"),
    bad(TRAIN, "train: 1", "train: 1"),
    bad(TRAIN, "train: [1, 3, 99]", "99"),
    bad(TRAIN, "train: [1, 3, -3]", "-3"),
    bad(TRAIN, "train: [1, 3, 5.5]", "5.5"),
    bad(TRAIN, "train: [1, 3, true]", "True"),
    bad(TRAIN, "train: [1, 3, [5]]", "[5]"),
    bad(TRAIN, "train: [1, 3, slice_99]", "slice_99"),
    bad(TRAIN, "train: [1, 3, 5, 6]", "6"),
    bad(TRAIN, "train: [1, 3, 5, 5]", "5"),
    bad(TRAIN, "train: [1, 3, 5, slice_5]", "5"),
    bad(TRAIN, "train: [1, 3]", "5"),
    bad(TRAIN, "train: [1, 3, 5, 7]", "7"),
    bad(TEST, "test: [6]\n  slices: [1, 3, 5, 6]", "slices"),
    bad(TEST, "test: [6]\n  slice: 1", "'slice'"),
    bad("annotations:\n", "annotation:\n", "'annotation'"),
    bad(DETECTORS, f"{DETECTORS}\nnumbers: 5", "numbers: 5"),
    bad(DETECTORS, f"{DETECTORS}\nnumbers: {{gaps: maybe}}", "'maybe'"),
    bad(DETECTORS, f"{DETECTORS}\nnumbers: {{pattern: slice_*}}", "'slice_*'"),
    bad(DETECTORS, f'{DETECTORS}\nnumbers: {{pattern: "{{}}_{{}}"}}', "'{}_{}'"),
    bad(DETECTORS, f'{DETECTORS}\nnumbers: {{pattern: "*{{}}"}}', "'*{}'"),
    bad(DETECTORS, f'{DETECTORS}\nnumbers: {{pattern: "plane_{{}}"}}', "plane_{}"),
    bad(DETECTORS, f"{DETECTORS}\nnumbers: {{pattern: 5}}", "pattern: 5"),
    bad(DETECTORS, f"{DETECTORS}\naccept: repeated_slices", "accept: 'repeated_slices'"),
    bad(DETECTORS, f"{DETECTORS}\naccept: [everything]", "'everything'"),
    bad(DETECTORS, f"{DETECTORS}\nname: twice", "name"),
    refused("an empty description", LINE, "'name' is missing", make=written("")),
    refused("a description that is a list", LINE, "sample.yaml", make=written("- 1\n- 2\n")),
    refused("a description that is a sentence", LINE, "sample.yaml", make=written("my sample from Tuesday")),
    refused("a description that is a picture", LINE, "sample.yaml", make=written(b"II*\0" + bytes(range(256)))),
    refused("a description in UTF-16", LINE, "sample.yaml", make=recoded(lambda data: data.decode().encode("utf-16"))),
    refused("a description in Latin-1", LINE, "sample.yaml", make=written("name: Zement Körnung".encode("latin-1"))),
    refused("tabs as indentation", LINE, "sample.yaml", make=recoded(lambda data: data.replace(b"  ", b"\t"))),
    refused("a bracket that is not closed", LINE, "sample.yaml", make=edited("x: 10}", "x: 10")),
    refused("two documents in one file", LINE, "sample.yaml", make=recoded(lambda data: data + b"---\n" + data)),
    refused(
        "`!!python/object/apply:os.getcwd []`",
        LINE,
        "sample.yaml",
        make=edited("name: tiny", "name: !!python/object/apply:os.getcwd []"),
    ),
    refused("a description that does not exist", "ingest nowhere.yaml new.ome.zarr", "nowhere.yaml"),
    refused("a picture as the description", "ingest SAMPLE/ICE/slice_0.tif new.ome.zarr", "slice_0.tif"),
    refused("no target", "ingest SAMPLE/sample.yaml", "TARGET"),
    refused("one word too many", f"{LINE} more", "more"),
    refused("an option that does not exist", f"{LINE} --replace", "--replace"),
    refused("a target without `.ome.zarr`", "ingest SAMPLE/sample.yaml new", ".ome.zarr"),
    refused("a target that is `.ome.zarr` alone", "ingest SAMPLE/sample.yaml .ome.zarr", ".ome.zarr"),
    refused("an empty target", "ingest SAMPLE/sample.yaml ''", ".ome.zarr"),
    refused("a target that exists", "ingest SAMPLE/sample.yaml STACK", "exists already", "--overwrite"),
    refused("a target that is a file", LINE, "new.ome.zarr", make=file_at("new.ome.zarr")),
    refused("`--overwrite` of a file", f"{LINE} --overwrite", "new.ome.zarr", make=file_at("new.ome.zarr")),
    refused(
        "`--overwrite` of a folder that is not a store",
        f"{LINE} --overwrite",
        "new.ome.zarr",
        make=folder_at("new.ome.zarr"),
    ),
    refused("a target below a file", "ingest SAMPLE/sample.yaml file/new.ome.zarr", "file", make=file_at("file")),
    refused("a target whose name is too long", f"ingest SAMPLE/sample.yaml {'n' * 300}.ome.zarr", "nnn"),
    refused("a target inside a store", "ingest SAMPLE/sample.yaml STACK/new.ome.zarr", "tiny.ome.zarr"),
    taken("a byte order mark", LINE, whole(), make=recoded(lambda data: b"\xef\xbb\xbf" + data)),
    taken("lines that end as on Windows", LINE, whole(), make=recoded(lambda data: data.replace(b"\n", b"\r\n"))),
    taken("a name with umlauts, spaces and `#`", LINE, whole(), make=edited("name: tiny", 'name: "Körnung #3 (Süd)"')),
    taken(
        "a folder with spaces, umlauts and `#`",
        "ingest 'Probe Süd #3/sample.yaml' new.ome.zarr",
        whole(),
        make=renamed("Probe Süd #3"),
    ),
    taken(
        "a target with spaces, umlauts and `#`",
        "ingest SAMPLE/sample.yaml 'Probe Süd #3.ome.zarr'",
        whole("Probe Süd #3.ome.zarr"),
    ),
    taken("a target with a slash at its end", "ingest SAMPLE/sample.yaml new.ome.zarr/", whole()),
    taken(
        "a target in a folder that does not exist yet",
        "ingest SAMPLE/sample.yaml a/b/new.ome.zarr",
        whole("a/b/new.ome.zarr"),
    ),
    taken(
        "detectors with a slash at their ends",
        LINE,
        whole(),
        make=edited(DETECTORS, "detectors: {ICE: ICE/, TLD: ./TLD//}"),
    ),
    taken(
        "slices named by the stems of their files", LINE, whole(), make=edited(TRAIN, "train: [slice_1, 3, slice_5]")
    ),
    taken("one detector", LINE, whole(), make=edited(DETECTORS, "detectors: {TLD: TLD}")),
    taken(
        "`--overwrite` of a store",
        f"{LINE} --overwrite",
        whole(),
        make=lambda place: place.copy("STACK").rename(place.folder / "new.ome.zarr"),
    ),
]
