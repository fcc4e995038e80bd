"""Tests of `pipeline.cases.files`."""

import os
import sys
from pathlib import Path

import pytest

from pipeline.cases.files import find_images


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_images_are_found_at_any_depth_by_their_stem(tmp_path):
    for name in ("train/a.jpg", "deep/er/b.PNG", "c.jpeg"):
        touch(tmp_path / name)

    assert find_images(tmp_path) == {
        "a": [Path("train/a.jpg")],
        "b": [Path("deep/er/b.PNG")],
        "c": [Path("c.jpeg")],
    }


def test_other_and_hidden_files_are_left_out(tmp_path):
    for name in ("metadata.csv", "licence.txt", "._a.jpg", "a.tif"):
        touch(tmp_path / name)

    assert find_images(tmp_path) == {}


def test_several_files_of_one_stem_are_all_told(tmp_path):
    for name in ("b/a.jpg", "a/a.png"):
        touch(tmp_path / name)

    assert find_images(tmp_path) == {"a": [Path("a/a.png"), Path("b/a.jpg")]}


def test_dots_in_a_name_belong_to_the_stem(tmp_path):
    touch(tmp_path / "a.b.jpg")

    assert list(find_images(tmp_path)) == ["a.b"]


def test_links_to_files_and_folders_are_followed(tmp_path):
    touch(tmp_path / "elsewhere" / "a.jpg")
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "train").symlink_to(tmp_path / "elsewhere")
    (raw / "b.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")

    assert find_images(raw) == {"a": [Path("train/a.jpg")], "b": [Path("b.jpg")]}


def test_link_to_a_parent_ends(tmp_path):
    touch(tmp_path / "a.jpg")
    (tmp_path / "again").symlink_to(tmp_path)

    assert find_images(tmp_path) == {"a": [Path("a.jpg")]}


def test_letters_composed_in_two_ways_are_one_stem(tmp_path):
    touch(tmp_path / "a" / "e\u0301.jpg")
    touch(tmp_path / "b" / "\u00e9.jpg")

    found = find_images(tmp_path)

    assert list(found) == ["\u00e9"]
    assert [path.parent.name for path in found["\u00e9"]] == ["a", "b"]


@pytest.mark.parametrize("name", ["a lesion.jpg", "naïve.png", "病变.jpeg", "a" * 250 + ".jpg"])
def test_unusual_names_are_found(tmp_path, name):
    touch(tmp_path / name)

    assert find_images(tmp_path) == {name.rpartition(".")[0]: [Path(name)]}


def test_folder_that_cannot_be_read_is_not_passed_over(tmp_path):
    with pytest.raises(FileNotFoundError):
        find_images(tmp_path / "absent")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS allows UTF-8 names only")
def test_name_that_is_not_utf_8_is_refused(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff.jpg", "wb"):
        pass

    with pytest.raises(ValueError, match=r"^file names must be UTF-8\. Got: .*xff\.jpg"):
        find_images(tmp_path)
