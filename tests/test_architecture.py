"""The promises about the shape of the project, held by reading its source and its wiring.

Each promise is a function of a project's root that returns what breaks it. The faults at the end
are planted into a tiny project, one at a time: each must be caught, and the tiny project without
a fault must pass.
"""

import ast
import functools
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tools import imports
from tools.imports import chains, dependencies

ROOT = Path(__file__).resolve().parents[1]

read_modules = functools.cache(imports.read_modules)  # each test has a root of its own

FLOOR_0 = "floor 0"  # modules directly in pipeline/: known to all
MAY_IMPORT = {
    FLOOR_0: {FLOOR_0},
    "cases": {FLOOR_0, "cases"},
    "images": {FLOOR_0, "images"},
    "scoring": {FLOOR_0, "scoring"},
    "network": {FLOOR_0, "network", "images"},
    "deploy": {FLOOR_0, "deploy", "network", "images", "scoring"},
    "cad": {FLOOR_0, "cad", "images", "scoring", "deploy"},
    "stages": {FLOOR_0, "cases", "images", "scoring", "network", "deploy", "cad"},
    "tools": {
        *(FLOOR_0, "tools", "stages"),
        *("cases", "images", "scoring", "network", "deploy", "cad"),
    },
}
CAD_TAKES_FROM_DEPLOY = {"pipeline.deploy.bundle"}
BEHIND_THE_WALL = {"tensorflow", "keras", "efficientnet", "tf2onnx", "tf_keras", "jax"}
WITHOUT_TENSORFLOW = ("cases", "images", "scoring", "cad")

CHANGES_NO_BYTE = {"parallel"}  # read by stages, but a reason for none to run again
SECTIONS_OF_NO_STAGE = {"repro", "sources", "member", "tune"} | CHANGES_NO_BYTE
FOLDERS = ("data", "models", "reports")


def layer(module):
    """Name the layer of `pipeline.images.crop` (images), `pipeline.storage`, `stages.train`."""
    parts = module.split(".")
    if parts[0] != "pipeline":
        return parts[0]
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else FLOOR_0


def upward_imports(root):
    """Imports of a layer that the importing one must not know; a package's own are fine."""
    return [
        f"{name} must not import {imported}"
        for name, module in read_modules(root).items()
        for imported in sorted(module.inside)
        if layer(imported) not in MAY_IMPORT[layer(name)]
    ]


def cad_reaching_too_far(root):
    """Modules of deploy, other than the bundle's, that the hospital side comes to import."""
    modules = read_modules(root)
    return [
        " -> ".join(chain)
        for name in modules
        if layer(name) == "cad"
        for imported, chain in chains(modules, name).items()
        if layer(imported) == "deploy"
        and imported not in CAD_TAKES_FROM_DEPLOY | {"pipeline.deploy"}
    ]


def tensorflow_reached(root):
    """Chains of imports that end in TensorFlow or Keras, from where neither may be."""
    modules = read_modules(root)
    return [
        " -> ".join([*chain, library])
        for name in modules
        if layer(name) in WITHOUT_TENSORFLOW
        for imported, chain in chains(modules, name).items()
        for library in sorted(modules[imported].outside & BEHIND_THE_WALL)
    ]


def read_yaml(path):
    return YAML(typ="safe").load(path)


def read_stages(root):
    """Read the stages of dvc.yaml by name, those of a `foreach` as what they do."""
    stages = read_yaml(root / "dvc.yaml")["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


def path_of(output):
    """Take the path of an output, which may be a mapping with options."""
    return output if isinstance(output, str) else next(iter(output))


def differing_names(root):
    """Stages whose script, command, params section, folders or test have another name."""
    sections, stages = set(read_yaml(root / "params.yaml")), read_stages(root)
    scripts = {path.stem for path in (root / "stages").glob("*.py")} - {"__init__"}
    wrong = [f"stages/{name}.py has no stage in dvc.yaml" for name in scripts - set(stages)]
    wrong += [
        f"params.yaml: section '{name}' belongs to no stage"
        for name in sections - set(stages) - SECTIONS_OF_NO_STAGE
    ]
    for name, stage in stages.items():
        folders = tuple(f"{folder}/{name}" for folder in FOLDERS)
        params = {str(param).partition(".")[0] for param in stage.get("params", [])}
        checks = {
            f"has no script stages/{name}.py": name in scripts,
            f"must run python -m stages.{name}": stage["cmd"].split()[:3]
            == ["python", "-m", f"stages.{name}"],
            f"must write to data, models or reports/{name}": all(
                # One file, such as reports/report.html, is a folder's equal.
                f"{Path(path_of(out)).with_suffix('')}/".startswith(
                    tuple(f"{folder}/" for folder in folders)
                )
                for out in stage["outs"]
            ),
            f"must depend on params section '{name}'": name not in sections or name in params,
            f"has no test tests/stages/test_{name}.py": (
                root / "tests" / "stages" / f"test_{name}.py"
            ).exists(),
        }
        wrong += [f"stage {name} {message}" for message, holds in checks.items() if not holds]
    return wrong


def unwired_paths(root):
    """Paths that a stage's command names, and that are neither its dependency nor its output."""
    return [
        f"stage {name} must list {path} in deps or outs"
        for name, stage in read_stages(root).items()
        for path in (word.strip('"') for word in stage["cmd"].split()[3:])
        if ("/" in path or path == "${item.path}")
        and path not in [*stage["deps"], *map(path_of, stage["outs"])]
    ]


def wrong_dependencies(root):
    """Stages whose `.py` dependencies are not what they import, each with the list to paste."""
    modules, wrong = read_modules(root), []
    for name, stage in read_stages(root).items():
        if f"stages.{name}" not in modules:
            continue  # named by `differing_names`
        needed = dependencies(modules, name)
        listed = [path for path in stage["deps"] if path.endswith(".py")]
        if sorted(listed) != needed:
            others = [path for path in stage["deps"] if not path.endswith(".py")]
            lines = "\n".join(f"      - {path}" for path in [*others, *needed])
            missing, surplus = sorted(set(needed) - set(listed)), sorted(set(listed) - set(needed))
            wrong.append(
                f"stage {name} lacks {missing}, has needlessly {surplus}. `make deps` writes:\n"
                f"    deps:\n{lines}"
            )
    return wrong


def unlisted_sections(root):
    """Sections of params.yaml that a stage, or a module that it imports, loads unlisted."""
    modules, wrong = read_modules(root), []
    for name, stage in read_stages(root).items():
        if f"stages.{name}" not in modules:
            continue
        listed = {str(param).partition(".")[0] for param in stage.get("params", [])}
        wrong += [
            f"stage {name} must not list params section '{section}': no byte depends on it"
            for section in sorted(listed & CHANGES_NO_BYTE)
        ]
        for imported in chains(modules, f"stages.{name}"):
            loaded = loaded_sections(root / modules[imported].path)
            wrong += [
                f"stage {name} must list params section '{section}', loaded in {imported}"
                for section in sorted(loaded - listed - CHANGES_NO_BYTE)
            ]
    return wrong


def loaded_sections(path):
    """Find the first key of what `params.load("key.…", …)` is called with, f-strings included."""
    tree = ast.parse(path.read_text())
    bare = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "pipeline.params"
        for alias in node.names
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and is_params_call(node.func, bare):
            first = node.args[0]
            first = first.values[0] if isinstance(first, ast.JoinedStr) else first
            if isinstance(first, ast.Constant):
                found.add(str(first.value).partition(".")[0])
    return found


def is_params_call(function, bare):
    wanted = ("load", "read_section")
    if isinstance(function, ast.Attribute):
        return function.attr in wanted and getattr(function.value, "id", None) == "params"
    return getattr(function, "id", None) in bare & set(wanted)


def code_in_packages(root):
    """`__init__.py` files that hold more than a docstring."""
    return [
        f"{path.relative_to(root)} must hold a docstring only"
        for package in ("pipeline", "stages", "tools", "tests")
        for path in sorted((root / package).rglob("__init__.py"))
        if any(not is_docstring(node) for node in ast.parse(path.read_text()).body)
    ]


def is_docstring(node):
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def forbidden_code(root):
    """Calls and statements that this project does without; the message says why."""
    wrong = []
    for package in ("pipeline", "stages", "tools"):
        for path in sorted((root / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                reason = reason_against(node, path.relative_to(root))
                if reason:
                    wrong.append(f"{path.relative_to(root)}:{node.lineno} {reason}")
    return wrong


FORBIDDEN_CALLS = {
    "eval": "eval runs what it is given",
    "exec": "exec runs what it is given",
    "system": "os.system starts a shell: use subprocess.run with a list",
    "popen": "os.popen starts a shell: use subprocess.run with a list",
    "imwrite": "cv2.imwrite returns False where it fails: use pipeline.storage",
}
FORBIDDEN_KEYWORDS = {
    ("allow_pickle", True): "allow_pickle=True runs what a file holds",
    ("shell", True): "shell=True lets a path become a command",
    ("safe_mode", False): "safe_mode=False runs what a model file holds",
    ("typ", "unsafe"): "typ='unsafe' runs what a YAML file holds",
}
FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def reason_against(node, path):
    """Say why a node of the syntax tree must not be, or return None."""
    if isinstance(node, ast.Assert):
        return "assert vanishes with python -O: raise an error"
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        return "a bare except hides bugs"
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
        if FORBIDDEN_MODULES & {str(name).partition(".")[0] for name in names}:
            return "pickles run what a file holds: use JSON, CSV or .npy"
    if isinstance(node, ast.Call):
        return reason_against_call(node, path)
    return None


def reason_against_call(node, path):
    name = getattr(node.func, "attr", getattr(node.func, "id", None))
    if name == "fit" and "network" in path.parts:
        return "training has one loop of its own: Keras' fit does not resume"
    for keyword in node.keywords:
        key = (keyword.arg, getattr(keyword.value, "value", None))
        if key in FORBIDDEN_KEYWORDS:
            return FORBIDDEN_KEYWORDS[key]
    return FORBIDDEN_CALLS.get(name)


PROMISES = [
    upward_imports,
    cad_reaching_too_far,
    tensorflow_reached,
    differing_names,
    unwired_paths,
    wrong_dependencies,
    unlisted_sections,
    code_in_packages,
    forbidden_code,
]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_project_keeps(promise):
    broken = promise(ROOT)

    assert not broken, "\n" + "\n".join(broken)


TINY_PROJECT = {
    "params.yaml": "train: {epochs: 1}\nmember: {b4: {epochs: 1}}\n",
    "dvc.yaml": """
stages:
  train:
    foreach: [b4]
    do:
      cmd: python -m stages.train models/train/${item}
      params: [train, 'member.${item}']
      deps: [pipeline/images/crop.py, pipeline/network/fit.py, pipeline/params.py,
             pipeline/storage.py, stages/train.py]
      outs: ['models/train/${item}']
""",
    "stages/__init__.py": '"""Stages."""\n',
    "stages/train.py": "from pipeline import params\nfrom pipeline.network.fit import run\n"
    "name = 'b4'\nparams.load('train', run)\nparams.load(f'member.{name}', run)\n",
    "tests/stages/test_train.py": "",
    "pipeline/__init__.py": '"""The library."""\n',
    "pipeline/params.py": "",
    "pipeline/storage.py": "",
    "pipeline/images/__init__.py": "",
    "pipeline/images/crop.py": "import numpy\nfrom pipeline.storage import write\n",
    "pipeline/network/__init__.py": "",
    "pipeline/network/fit.py": "import keras\nfrom pipeline.images import crop\nrun = crop\n",
    "pipeline/deploy/__init__.py": "",
    "pipeline/deploy/bundle.py": "from pipeline.storage import read\n",
    "pipeline/deploy/export.py": "import keras\n",
    "pipeline/cad/__init__.py": "",
    "pipeline/cad/inference.py": "import onnxruntime\nfrom pipeline.deploy import bundle\n",
    "pipeline/cad/__main__.py": "from pipeline.cad.inference import score\n",
}

TRAIN = TINY_PROJECT["stages/train.py"]
WIRING = TINY_PROJECT["dvc.yaml"]

FAULTS = {
    "images imports network": (
        upward_imports,
        {"pipeline/images/crop.py": "from pipeline.network import fit\n"},
        "pipeline.images.crop must not import pipeline.network.fit",
    ),
    "floor 0 imports images, inside a function": (
        upward_imports,
        {"pipeline/storage.py": "def read():\n    import pipeline.images.crop\n"},
        "pipeline.storage must not import pipeline.images.crop",
    ),
    "a relative import goes up": (
        upward_imports,
        {"pipeline/network/fit.py": "from ..cad import inference\n"},
        "pipeline.network.fit must not import pipeline.cad.inference",
    ),
    "a stage imports a stage": (
        upward_imports,
        {"stages/other.py": "from stages import train\n"},
        "stages.other must not import stages.train",
    ),
    "the library imports a stage": (
        upward_imports,
        {"pipeline/deploy/export.py": "from stages.train import main\n"},
        "pipeline.deploy.export must not import stages.train",
    ),
    "deploy starts cad by name": (
        upward_imports,
        {"pipeline/deploy/export.py": "command = ['python', '-m', 'pipeline.cad']\n"},
        "pipeline.deploy.export must not import pipeline.cad.__main__",
    ),
    "cad takes export": (
        cad_reaching_too_far,
        {"pipeline/deploy/bundle.py": "from pipeline.deploy import export\n"},
        "pipeline.cad.inference -> pipeline.deploy.bundle -> pipeline.deploy.export",
    ),
    "cad reaches Keras": (
        tensorflow_reached,
        {"pipeline/deploy/bundle.py": "from pipeline.deploy import export\n"},
        "pipeline.cad.inference -> pipeline.deploy.bundle -> pipeline.deploy.export -> keras",
    ),
    "images imports TensorFlow late and by text": (
        tensorflow_reached,
        {"pipeline/images/crop.py": "import importlib\nimportlib.import_module('tensorflow.io')\n"},
        "pipeline.images.crop -> tensorflow",
    ),
    "a script without a stage": (
        differing_names,
        {"stages/other.py": ""},
        "stages/other.py has no stage in dvc.yaml",
    ),
    "a stage without a script": (
        differing_names,
        {"dvc.yaml": WIRING.replace("  train:\n", "  fit:\n")},
        "stage fit has no script stages/fit.py",
    ),
    "a section of no stage": (
        differing_names,
        {"params.yaml": "train: {}\nmember: {}\ntrian: {}\n"},
        "params.yaml: section 'trian' belongs to no stage",
    ),
    "a command of another name": (
        differing_names,
        {"dvc.yaml": WIRING.replace("stages.train", "stages.fit")},
        "stage train must run python -m stages.train",
    ),
    "an output of another name": (
        differing_names,
        {"dvc.yaml": WIRING.replace("['models/train/", "['models/training/")},
        "stage train must write to data, models or reports/train",
    ),
    "a stage that does not see its values change": (
        differing_names,
        {"dvc.yaml": WIRING.replace("[train, ", "[")},
        "stage train must depend on params section 'train'",
    ),
    "a stage without a test": (
        differing_names,
        {"tests/stages/test_train.py": None},
        "stage train has no test tests/stages/test_train.py",
    ),
    "a folder read and not listed": (
        unwired_paths,
        {"dvc.yaml": WIRING.replace("stages.train models", "stages.train data/resize models")},
        "stage train must list data/resize in deps or outs",
    ),
    "a forgotten dependency": (
        wrong_dependencies,
        {"pipeline/images/crop.py": "from pipeline import classes\n", "pipeline/classes.py": ""},
        "stage train lacks ['pipeline/classes.py'], has needlessly ['pipeline/storage.py']",
    ),
    "a worker started by name": (
        wrong_dependencies,
        {"pipeline/network/fit.py": TINY_PROJECT["pipeline/network/fit.py"] + "x = 'pipeline.w'\n"}
        | {"pipeline/w.py": ""},
        "stage train lacks ['pipeline/w.py'], has needlessly []",
    ),
    "a section loaded and not listed": (
        unlisted_sections,
        {"stages/train.py": TRAIN + "params.load('crop', run)\n"},
        "stage train must list params section 'crop', loaded in stages.train",
    ),
    "a section listed that changes no byte": (
        unlisted_sections,
        {"dvc.yaml": WIRING.replace("params: [train,", "params: [train, parallel,")},
        "stage train must not list params section 'parallel': no byte depends on it",
    ),
    "a section loaded by a bare name in an f-string": (
        unlisted_sections,
        {"pipeline/network/fit.py": "from pipeline.params import load\nload(f'split.{1}', 2)\n"},
        "stage train must list params section 'split', loaded in pipeline.network.fit",
    ),
    "a re-export": (
        code_in_packages,
        {"pipeline/images/__init__.py": "from pipeline.images import crop\n"},
        "pipeline/images/__init__.py must hold a docstring only",
    ),
    **{
        f"forbidden: {code}": (
            forbidden_code,
            {"pipeline/network/fit.py": f"\n{code}\n"},
            f"pipeline/network/fit.py:2 {reason}",
        )
        for code, reason in {
            "cv2.imwrite(path, image)": "cv2.imwrite returns False",
            "import pickle": "pickles run",
            "from joblib import load": "pickles run",
            "eval(text)": "eval runs",
            "exec(text)": "exec runs",
            "os.system('ls')": "os.system starts a shell",
            "numpy.load(path, allow_pickle=True)": "allow_pickle=True runs",
            "subprocess.run(text, shell=True)": "shell=True lets",
            "keras.models.load_model(path, safe_mode=False)": "safe_mode=False runs",
            "model.fit(images)": "training has one loop",
            "assert image.ndim == 3": "assert vanishes",
        }.items()
    },
    "forbidden: bare except": (
        forbidden_code,
        {"stages/train.py": "try:\n    pass\nexcept:\n    pass\n"},
        "stages/train.py:3 a bare except hides bugs",
    ),
}


def plant(root, files):
    """Write the tiny project, some of its files replaced, or left out where None."""
    for name, text in (TINY_PROJECT | files).items():
        if text is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_tiny_project_without_a_fault_keeps(promise, tmp_path):
    plant(tmp_path, {})

    assert promise(tmp_path) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_caught(fault, tmp_path):
    promise, files, message = FAULTS[fault]
    plant(tmp_path, files)

    assert any(message in broken for broken in promise(tmp_path)), promise(tmp_path)


def test_message_about_dependencies_can_be_pasted_into_dvc_yaml(tmp_path):
    plant(tmp_path, {"pipeline/images/crop.py": ""})

    (message,) = wrong_dependencies(tmp_path)

    assert YAML(typ="safe").load(message.partition("\n")[2]) == {
        "deps": [
            "pipeline/images/crop.py",
            "pipeline/network/fit.py",
            "pipeline/params.py",
            "stages/train.py",
        ]
    }
