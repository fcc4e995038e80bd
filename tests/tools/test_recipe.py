"""Tests of `tools.recipe`."""

import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.cases.tables import TableError
from tools import recipe
from tools.recipe import RecipeError, apply_recipe
from tools.scratch import NOBODY

ROOT = Path(__file__).resolve().parents[2]

PARAMS = """\
# Every value a stage reads.

sample:
  isic_2019: {seed: 1, images: 8}   # one seed

sources:                   # form: isic_2019 | isic_cli
  isic_2019: {form: isic_2019, path: data/sample/isic_2019}

train:
  augment: {scale: 0.1,  shift: 0.0625}
  seed: 7                  # of everything

member:
  b4: {epochs: 8, peak_learning_rate: 1.0e-3}
"""

RECIPES = {
    "sample": "{}\n",
    "same": "train: {seed: 7}\n",
    "long": "train: {seed: 8}\nmember: {b4: {epochs: 15}}\n",
    "real": "sample: {}\nsources: {}\n",
    "raw": "sources: {isic_2019: null, raw: {form: isic_2019, path: data/raw}}\n",
    "typo": "train: {sed: 7}\n",
    "list": "[train]\n",
    "broken": "train: {\n",
}


@pytest.fixture
def root(tmp_path):
    """A repository with a committed params.yaml, a few recipes and an isic-cli folder."""
    root = tmp_path / "project"
    (root / "recipes").mkdir(parents=True)
    (root / "params.yaml").write_text(PARAMS)
    (root / ".gitignore").write_text("/.resume/\n")
    for name, text in RECIPES.items():
        (root / "recipes" / f"{name}.yaml").write_text(text)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *command], cwd=root, check=True, env=NOBODY)
    for folder in ("clinic a", "clinic-b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "metadata.csv").write_text("isic_id\n")
    return root


def read(root):
    return (root / "params.yaml").read_text()


def values(root):
    return YAML(typ="safe").load(root / "params.yaml")


def git_status(root):
    command = ["git", "status", "--porcelain"]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", ["sample", "same"])
def test_recipe_that_changes_no_value_leaves_git_clean(root, name):
    apply_recipe(root, name, [], force=False)

    assert git_status(root) == ""


def test_values_are_merged_key_by_key(root):
    apply_recipe(root, "long", [], force=False)

    assert values(root)["member"] == {"b4": {"epochs": 15, "peak_learning_rate": 0.001}}


def test_lines_without_a_new_value_stay_byte_for_byte(root):
    """Comments, spaces and the way a number is written are what a reader of the diff sees."""
    apply_recipe(root, "long", [], force=False)

    changed = [
        (old, new)
        for old, new in zip(PARAMS.splitlines(), read(root).splitlines(), strict=True)
        if old != new
    ]
    assert [new for _, new in changed] == [
        "  augment: {scale: 0.1, shift: 0.0625}",  # two spaces in a row are the one thing lost
        "  seed: 8                  # of everything",
        "  b4: {epochs: 15, peak_learning_rate: 1.0e-3}",
    ]


def test_null_removes_and_new_names_are_taken_below_sources(root):
    apply_recipe(root, "raw", [], force=False)

    assert values(root)["sources"] == {"raw": {"form": "isic_2019", "path": "data/raw"}}


def test_empty_mapping_empties(root):
    apply_recipe(root, "real", ["../clinic-b"], force=False)

    assert values(root)["sample"] == {}


def test_folders_become_sources_named_after_them(root):
    apply_recipe(root, "real", ["../clinic a", "../clinic-b/"], force=False)

    assert values(root)["sources"] == {
        "clinic-a": {"form": "isic_cli", "path": "../clinic a"},
        "clinic-b": {"form": "isic_cli", "path": "../clinic-b"},
    }


def test_one_recipe_after_another_starts_from_the_committed_file(root):
    apply_recipe(root, "long", [], force=False)

    apply_recipe(root, "sample", [], force=False)

    assert read(root) == PARAMS


def test_edits_are_refused_and_kept(root):
    (root / "params.yaml").write_text(PARAMS.replace("seed: 7", "seed: 9"))

    with pytest.raises(RecipeError, match=r"Got: edits\. Commit or revert them, or .* FORCE=1"):
        apply_recipe(root, "long", [], force=False)

    assert values(root)["train"]["seed"] == 9


def test_edits_on_top_of_a_recipe_are_refused(root):
    apply_recipe(root, "long", [], force=False)
    (root / "params.yaml").write_text(read(root).replace("epochs: 15", "epochs: 16"))

    with pytest.raises(RecipeError, match="Got: edits"):
        apply_recipe(root, "sample", [], force=False)


def test_force_overwrites_edits(root):
    (root / "params.yaml").write_text(PARAMS.replace("seed: 7", "seed: 9"))

    apply_recipe(root, "sample", [], force=True)

    assert read(root) == PARAMS


@pytest.mark.parametrize(
    ("name", "folders", "message"),
    [
        ("nothing", [], r"recipe must be one of \['broken', .*\]\. Got: 'nothing'\."),
        ("typo", [], r"recipes/typo\.yaml: key 'train\.sed' must exist in params\.yaml"),
        ("list", [], r"recipes/list\.yaml must be a mapping of sections"),
        ("broken", [], r"recipes/broken\.yaml must be YAML"),
        ("real", [], r'takes its images from DATA="folder …"\. Got: none'),
        ("long", ["../clinic-b"], r"has sources of its own and takes no DATA"),
        ("real", ["../clinic-b", "../clinic-b"], r"must differ in name\. Got: 'clinic-b' twice"),
    ],
)
def test_refusal_says_why_and_leaves_params_as_they_were(root, name, folders, message):
    with pytest.raises(RecipeError, match=message):
        apply_recipe(root, name, folders, force=False)

    assert git_status(root) == ""


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("../nowhere", r"\.\./nowhere must be a folder with images"),
        ("recipes", r"recipes must have a known form \(isic_2019: .* Got: \['broken\.yaml', "),
    ],
)
def test_folder_of_no_known_form_is_refused(root, folder, message):
    with pytest.raises(TableError, match=message):
        apply_recipe(root, "real", [folder], force=False)

    assert git_status(root) == ""


def test_form_of_each_folder_is_recognised(root):
    forms = {
        "HAM10000_metadata": "ham10000",
        "train.csv": "isic_2020",
        "nevus/a.jpg": "class_folders",
    }
    for name, form in forms.items():
        (root.parent / form / name).parent.mkdir(parents=True)
        (root.parent / form / name).touch()

    apply_recipe(root, "real", [f"../{form}" for form in forms.values()], force=False)

    assert values(root)["sources"] == {
        form: {"form": form, "path": f"../{form}"} for form in forms.values()
    }


def test_folder_without_a_commit_is_refused(tmp_path):
    (tmp_path / "recipes").mkdir()

    with pytest.raises(RecipeError, match=r"as committed in git\. Got: "):
        apply_recipe(tmp_path, "sample", [], force=False)


@pytest.mark.parametrize("name", ["sample", "isic", "real"])
def test_recipe_of_the_project_names_only_what_params_have(name):
    folders = ["."] if name == "real" else []
    base = (ROOT / "params.yaml").read_bytes()

    tree = recipe.round_trip().load(base)
    recipe.merge(tree, recipe.read_recipe(ROOT, name), name)

    assert bool(tree["sources"]) != bool(folders)
    assert name != "sample" or recipe.merge_text(base, {}, name, [], ROOT) == base


def test_recipe_isic_is_the_published_one():
    tree = recipe.round_trip().load((ROOT / "params.yaml").read_bytes())
    recipe.merge(tree, recipe.read_recipe(ROOT, "isic"), "isic")

    keys = ("crop_px", "input_px", "batch_size", "peak_learning_rate", "epochs", "warmup_epochs")
    assert {name: [tree["member"][name][key] for key in keys] for name in ("b4", "b5", "b7")} == {
        "b4": [768, 380, 8, 3e-5, 15, 1],
        "b5": [512, 448, 4, 3e-5, 15, 1],
        "b7": [768, 380, 4, 1e-5, 15, 1],
    }
    assert {member["weights"] for member in tree["member"].values()} == {"imagenet"}
