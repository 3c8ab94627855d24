"""The simulator, the label server and lists of settings."""

from tests.bad_input.row import Make, Row, nothing, refused, taken
from tests.bad_input.rows.descriptions import file_at, folder_at

SMALL = "--slices 5 --rows 32 --columns 32"


def config(text: str) -> Make:
    return lambda place: (place.folder / "config.yaml").write_text(text)


def simulated(text: str, *says: str) -> Row:
    return refused(f"`{text}`", "simulate new --config config.yaml", *says, make=config(text))


def sized(text: str, *says: str) -> Row:
    return refused(f"`{text}`", f"simulate new {text}", *says)


def served(text: str, *says: str, make: Make = nothing) -> Row:
    return refused(f"`{text}`", f"serve STACK --bundle RUN --studies studies {text}", *says, make=make)


def token(text: str) -> Make:
    return lambda place: (place.folder / "token").write_text(text)


PLACES = "serve STACK --bundle RUN --studies"

ROWS = [
    sized("--slices 0", "slices: 0"),
    sized("--slices 2", "slices is 2"),
    sized("--slices -1", "slices: -1"),
    sized("--slices 1e21", "--slices"),
    sized("--slices 70000", "slices: 70000"),
    sized("--rows 0", "rows: 0"),
    sized("--rows 1000000", "rows: 1000000"),
    sized("--rows 65536 --columns 65536", "rows 65536 x columns 65536"),
    sized("--columns -5", "columns: -5"),
    sized("--columns wide", "--columns"),
    sized("--seed -1", "seed: -1"),
    sized("--seed 12345678901234567890123", "seed"),
    simulated("slices: 1.5", "slices: 1.5"),
    simulated("slices: [24]", "slices: [24]"),
    simulated("slice: 24", "'slices'"),
    simulated("rows: '512'", "rows: '512'"),
    simulated("seed: .nan", "seed: nan"),
    simulated("voxel_nm: 10", "voxel_nm"),
    simulated("voxel_nm: {x: 0}", "voxel_nm::x: 0"),
    simulated("voxel_nm: {x: 1.0e+9}", "voxel_nm::x"),
    simulated("structure: 5", "structure: 5"),
    simulated("structure: {pore_nm: 0}", "pore_nm: 0"),
    simulated("structure: {pore_nm: .inf}", "pore_nm: inf"),
    simulated("structure: {pore_level: -1}", "pore_level: -1"),
    simulated("structure: {void_probability: 2}", "void_probability: 2"),
    simulated("structure: {clinker_radius_um: 1.0e+6}", "clinker_radius_um"),
    simulated("structure: {pores: 1}", "'pores'"),
    simulated("artefacts: {noise: -1}", "noise: -1"),
    simulated("artefacts: {noise: 1000}", "noise: 1000"),
    simulated("artefacts: {blur: .nan}", "blur: nan"),
    simulated("artefacts: none", "artefacts: 'none'"),
    simulated("lens: {name: ICE}", "'ICE'"),
    simulated("lens: {name: truth}", "'truth'"),
    simulated("lens: {name: a/b}", "'a/b'"),
    simulated("lens: {electrons: 0}", "electrons: 0"),
    simulated("lens: {composition: 1.5}", "composition: 1.5"),
    simulated("lens: {shadow: -0.5}", "shadow: -0.5"),
    simulated("[1, 2]", "config.yaml"),
    simulated("rows: [", "config.yaml"),
    refused("a config that does not exist", "simulate new --config nowhere.yaml", "nowhere.yaml"),
    refused("a config that is a folder", "simulate new --config SAMPLE", "sample"),
    refused("a target that exists", f"simulate new {SMALL}", "new", "--overwrite", make=folder_at("new")),
    refused(
        "`--overwrite` of a folder with other files", f"simulate new {SMALL} --overwrite", "new", make=folder_at("new")
    ),
    refused("a target that is a file", f"simulate new {SMALL}", "new", make=file_at("new")),
    refused("a target below a file", f"simulate file/new {SMALL}", "file", make=file_at("file")),
    refused("a target in a store", f"simulate STACK/new {SMALL}", "tiny.ome.zarr"),
    refused("a target whose name is too long", f"simulate {'n' * 300} {SMALL}", "nnn"),
    taken(
        "a target with spaces, umlauts and `#`",
        f"simulate 'Süd #3' {SMALL}",
        lambda place: (place.folder / "Süd #3/sample.yaml").stat(),
    ),
    served("--port=-1", "--port"),
    served("--port 65536", "--port"),
    served("--port 99999999", "--port"),
    served("--port http", "--port"),
    served("--host 0.0.0.0", "0.0.0.0", "--token-file"),
    served("--host ::", "::", "--token-file"),
    served("--host nowhere.invalid", "nowhere.invalid"),
    served("--host ''", "host"),
    served("--token-file nowhere", "nowhere"),
    served("--token-file token", "token", make=token("short")),
    refused("a token that is empty", f"{PLACES} studies --token-file token", "token", make=token("")),
    refused(
        "a token with umlauts", f"{PLACES} studies --token-file token", "token", make=token("Körnungskörnung-2026")
    ),
    refused(
        "a token of two lines", f"{PLACES} studies --token-file token", "token", make=token("a" * 20 + "\n" + "b" * 20)
    ),
    served("--slices 99", "99"),
    served("--slices -1", "-1"),
    served("--slices four", "four"),
    served("--slices 1,,3", "1,,3"),
    served("--test 99", "99"),
    served("--test six", "six"),
    served("--thickness 2", "thickness: 2"),
    served("--thickness 0", "thickness: 0"),
    served("--thickness -3", "thickness: -3"),
    served("--thickness 99999", "thickness"),
    served("--format tif", "tif"),
    served("--layout single", "single"),
    served("--size huge", "huge"),
    served("--set learning_rat=1", "learning_rat"),
    served("--set batch_size=0", "batch_size"),
    served("--set max_epochs=1000000000000000000000", "max_epochs"),
    served("--set crop", "crop"),
    served("--device gpu", "gpu"),
    served("--memory much", "much"),
    served("--memory 0", "memory"),
    served("--waiting 0", "waiting: 0"),
    served("--waiting 1000000000000000000000", "waiting"),
    served("--max-upload 0", "0"),
    served("--max-upload much", "much"),
    served("--max-stored much", "much"),
    served("--max-stored=-1GiB", "-1GiB"),
    refused("a stack that does not exist", "serve nowhere.ome.zarr --bundle RUN", "nowhere.ome.zarr"),
    refused("a run folder as the stack", "serve RUN --bundle RUN", "run"),
    refused("is not a bundle", "serve STACK", "--bundle"),
    refused("a bundle that does not exist", "serve STACK --bundle nowhere --studies studies", "nowhere"),
    refused("a store as the bundle", "serve STACK --bundle STACK --studies studies", "tiny.ome.zarr"),
    refused("a package as the bundle", "serve STACK --bundle ZIP --studies studies", "model"),
    refused("a bundle twice", "serve STACK --bundle RUN --bundle RUN --studies studies", "'run'"),
    refused("studies in the store", f"{PLACES} STACK/studies", "tiny.ome.zarr"),
    refused(
        "studies in another store's folder",
        f"{PLACES} other.zarr/studies",
        "other.zarr",
        make=lambda place: file_at("other.zarr/zarr.json")(place),
    ),
    refused("studies that hold other files", f"{PLACES} mine", "mine", make=folder_at("mine")),
    refused("studies that are a file", f"{PLACES} file", "file", make=file_at("file")),
    refused("studies below a file", f"{PLACES} file/studies", "file", make=file_at("file")),
    refused("studies whose name is too long", f"{PLACES} {'n' * 300}", "nnn"),
    taken(
        "one slice to prepare, in a folder with spaces, umlauts and `#`",
        f"{PLACES} 'Süd #3' --slices 4 --dry-run",
        lambda place: (place.folder / "Süd #3/cases").stat(),
    ),
    refused("a run that does not exist", "settings nowhere", "nowhere"),
    refused("a store", "settings STACK", "tiny.ome.zarr"),
    refused("a package", "settings ZIP", "model.zip"),
    refused("`--bundle vnet`", "settings --bundle vnet", "vnet"),
    refused("`--of everything`", "settings --of everything", "everything"),
    refused(
        "a run whose config is empty",
        "settings RUN",
        "train.yaml",
        make=lambda place: (place.copy("RUN") / "configs/train.yaml").write_text(""),
    ),
    refused(
        "a run whose config is a list",
        "settings RUN",
        "train.yaml",
        make=lambda place: (place.copy("RUN") / "configs/train.yaml").write_text("[1]"),
    ),
]
