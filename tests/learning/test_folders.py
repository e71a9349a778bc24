"""Folders of pictures: which are found, and what class each is."""

import os
import re

import numpy as np
import pytest
from PIL import Image

from diffusion_lesson.learning.data import image_folder


def save(path, grey=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), grey, np.uint8)).save(path, "PNG")


def test_subfolders_are_labels_in_sorted_order(tmp_path):
    for i, name in enumerate(["dog/2.png", "cat-b/1.PNG", "dog/deep/1.png", "cat/10.png", "cat/9.png"]):
        save(tmp_path / name, i)
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "album.png").mkdir()
    save(tmp_path / "dog" / ".thumbnails" / "1.png")
    (tmp_path / "dog" / "._2.png").write_bytes(b"what macOS leaves on other disks")
    with pytest.warns(UserWarning, match=r"^path: no class comes of album\.png, empty: no picture"):
        pictures = image_folder(tmp_path, 4)
    assert pictures.names == ("cat", "cat-b", "dog")
    assert pictures.images[:, 0, 0, 0].tolist() == [3, 4, 1, 0, 2]
    assert pictures.labels.tolist() == [0, 0, 1, 2, 2]
    assert pictures.levels == 256


def test_a_flat_folder_is_one_label(tmp_path, monkeypatch):
    for name in ("b.png", "a.png"):
        save(tmp_path / "holiday" / name)
    for path in (str(tmp_path / "holiday"), tmp_path / "holiday"):
        pictures = image_folder(path, 4)
        assert (pictures.names, pictures.labels.tolist()) == (("holiday",), [0, 0])
    monkeypatch.chdir(tmp_path / "holiday")
    assert image_folder(".", 4).names == ("holiday",)
    save(tmp_path / "holiday" / "beach" / "c.png")
    pictures = image_folder(tmp_path / "holiday", 4)
    assert pictures.names == ("beach", "holiday")
    assert pictures.labels.tolist() == [1, 1, 0]


def folder(root, *names):
    """One picture in each."""
    for name in names:
        save(root / name / "a.png")
    return root


# Names


def test_numbers_sort_as_numbers(tmp_path):
    pictures = image_folder(folder(tmp_path, *map(str, range(12))), 4)
    assert pictures.names == tuple(map(str, range(12)))
    assert [pictures.names[label] for label in pictures.labels] == sorted(pictures.names)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["class10", "class9", "class"], ("class", "class9", "class10")),
        (["10", "cat", "9"], ("9", "10", "cat")),
        (["1", "01", "2", "001"], ("001", "01", "1", "2")),
        (["2024-11", "2024-9", "1999-12"], ("1999-12", "2024-9", "2024-11")),
        (["٣", "²", "4"], ("٣", "4", "²")),  # an Arabic 3, and a superscript, which is no digit
    ],
)
def test_numbers_in_names_too(tmp_path, names, expected):
    assert image_folder(folder(tmp_path, *names), 4).names == expected


def test_a_name_is_as_it_is_typed(tmp_path):
    assert image_folder(folder(tmp_path, "cafe\u0301"), 4).names == ("caf\u00e9",)


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["cat"], "1 class: cat; 1 picture"),
        (["cat", "dog"], "2 classes: cat, dog; 2 pictures"),
        ([str(i) for i in range(12)], "12 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11; 12 pictures"),
        (
            [f"c{i}" for i in range(30)],
            "30 classes: " + "".join(f"c{i}, " for i in range(18)) + "…, c29; 30 pictures",
        ),
        (["a\nb", os.fsdecode(b"\xff")], r"2 classes: 'a\nb', '\udcff'; 2 pictures"),
    ],
    ids=["one", "two", "twelve", "thirty", "odd"],
)
def test_one_line_says_what_was_found(tmp_path, names, line):
    assert image_folder(folder(tmp_path, *names), 4).summary() == line


# Parts of a data set


@pytest.mark.parametrize(
    ("folders", "named"),
    [
        (["train/cat", "test/cat"], "test, train"),
        (["Training", "Validation"], "Training, Validation"),
        (["train2017", "val2017"], "train2017, val2017"),
        (["train_images", "test-set"], "test-set, train_images"),
        (["train/cat", "train/dog"], "train"),
        (["train", "val", "cat"], "train, val"),
        (["pets/train/cat", "pets/val/cat"], "train, val"),
        (["cat/train", "cat/test", "dog/train"], "test, train"),
        (["seg_train/seg_train/cat", "seg_test/seg_test/cat", "seg_pred"], "seg_test, seg_train"),
        (["pets-train", "pets-val2"], "pets-train, pets-val2"),
    ],
)
def test_parts_of_a_data_set_are_not_taken_for_classes(tmp_path, folders, named):
    with pytest.raises(
        ValueError, match=rf"^path: {re.escape(str(tmp_path))}.* holds {named}: parts of a data set"
    ):
        image_folder(folder(tmp_path, *folders), 4)


def test_one_part_of_a_data_set_is_learned_from(tmp_path):
    folder(tmp_path, "train/cat", "train/dog", "test/cat")
    assert image_folder(tmp_path / "train", 4).names == ("cat", "dog")


ALIKE = [["bullet_train", "steam_train"], ["drug_test"], ["bullet_train", "driving_test"], ["a_test", "b_test"]]


@pytest.mark.parametrize(
    "names", [["train", "bus", "plane"], ["testudo", "trainer"], ["dev", "ops"], ["contest"], *ALIKE]
)
def test_classes_with_such_names_are_classes(tmp_path, names):
    assert image_folder(folder(tmp_path, *names), 4).names == tuple(sorted(names))


def test_a_part_without_pictures_does_not_count(tmp_path):
    (tmp_path / "test").mkdir()
    with pytest.warns(UserWarning, match="no class comes of test"):
        found = image_folder(folder(tmp_path, "train", "bus"), 4)
    assert found.names == ("bus", "train")


# Links


def test_linked_folders_and_files_are_followed(tmp_path):
    folder(tmp_path / "store", "cat", "dog/deep")
    root = folder(tmp_path / "set", "fox")
    (root / "cat").symlink_to(tmp_path / "store" / "cat")
    (root / "dog").symlink_to("../store/dog")
    (root / "fox" / "b.png").symlink_to(tmp_path / "store" / "cat" / "a.png")
    pictures = image_folder(root, 4)
    assert pictures.names == ("cat", "dog", "fox")
    assert pictures.labels.tolist() == [0, 1, 2, 2]


def test_a_linked_root_is_followed_and_keeps_its_real_name(tmp_path):
    folder(tmp_path, "holiday")
    (tmp_path / "link").symlink_to("holiday")
    assert image_folder(tmp_path / "link", 4).names == ("holiday",)


@pytest.mark.parametrize("to", [".", "..", "../..", "/", "../../set"])
def test_a_circle_ends(tmp_path, to):
    root = folder(tmp_path / "set", "cat", "dog")
    (root / "cat" / "again").symlink_to(to)
    (root / "again").symlink_to(".")
    pictures = image_folder(root, 4)
    assert (pictures.names, pictures.labels.tolist()) == (("cat", "dog"), [0, 1])


def test_two_classes_may_share_a_folder_but_none_counts_it_twice(tmp_path):
    folder(tmp_path, "store/pets", "set/fox")
    for name in ("set/cat", "set/dog", "set/fox/1", "set/fox/2"):
        (tmp_path / name).symlink_to(tmp_path / "store" / "pets")
    assert image_folder(tmp_path / "set", 4).labels.tolist() == [0, 1, 2, 2]


def test_links_between_classes_end(tmp_path):
    root = folder(tmp_path, "cat", "dog")
    (root / "cat" / "other").symlink_to(root / "dog")
    (root / "dog" / "other").symlink_to(root / "cat")
    assert image_folder(root, 4).labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("name", ["cat", "v1.0", "dog/b.png", "dog/notes.txt"])
@pytest.mark.parametrize("to", ["gone", "itself"])
def test_a_link_that_leads_nowhere_is_named(tmp_path, name, to):
    path = folder(tmp_path, "dog") / name
    path.symlink_to(path if to == "itself" else to)
    with pytest.raises(ValueError, match=rf"^path: {re.escape(str(path))} is a link that leads nowhere"):
        image_folder(tmp_path, 4)


def test_a_hidden_link_that_leads_nowhere_is_passed_over(tmp_path):
    (folder(tmp_path, "dog") / "dog" / ".#a.png").symlink_to("me@here:1")  # what Emacs leaves while it edits
    assert len(image_folder(tmp_path, 4)) == 1


# What is not read


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def scandir(path, open_folder=os.scandir):
        if path.name == "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return open_folder(path)

    folder(tmp_path, "cat", "dog")
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError, match="dog"):
        image_folder(tmp_path, 4)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_with_a_pictures_name_is_named(tmp_path):
    os.mkfifo(folder(tmp_path, "dog") / "dog" / "b.png")
    with pytest.raises(ValueError, match=r"^path: .*b\.png is neither a file nor a folder"):
        image_folder(tmp_path, 4)


def test_pictures_of_other_kinds_are_told(tmp_path):
    folder(tmp_path, "dog")
    for name in ("b.heic", "c.GIF"):
        (tmp_path / "dog" / name).write_bytes(b"")
    with pytest.warns(
        UserWarning, match=r"^path: 2 pictures of other kinds passed over, such as .*b\.heic; expected"
    ):
        assert len(image_folder(tmp_path, 4)) == 1


@pytest.mark.parametrize("name", ["a.apng", "a.ppm", "a.TGA", "a.svg", "a.dng"])
def test_every_usual_kind_of_picture_is_told(tmp_path, name):
    (folder(tmp_path, "dog") / "dog" / name).write_bytes(b"")
    with pytest.warns(UserWarning, match="^path: 1 picture of other kinds passed over, such as .*a"):
        image_folder(tmp_path, 4)


def test_a_folder_that_makes_no_class_is_told(tmp_path):
    folder(tmp_path, "dog", "cat")
    (tmp_path / "owl" / "deep").mkdir(parents=True)
    (tmp_path / "ant").mkdir()
    with pytest.warns(UserWarning, match="^path: no class comes of ant, owl: no picture") as warned:
        assert image_folder(tmp_path, 4).names == ("cat", "dog")
    assert len(warned) == 1


def test_what_systems_leave_in_folders_is_passed_over(tmp_path):
    folder(tmp_path, "dog")
    for name in ("._a.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/dog/._a.png"):
        path = tmp_path / "dog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0\5\x16\7")
    assert len(image_folder(tmp_path, 4)) == 1


@pytest.mark.parametrize("name", ["a.JPG", "a.Jpeg", "a.jpe", "a.JFIF", "a.WebP"])
def test_suffixes_of_pictures(tmp_path, name):
    save(tmp_path / name)  # the suffix finds it, the content says what it is
    assert len(image_folder(tmp_path, 4)) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(ValueError, match="Permission denied"):
        image_folder(tmp_path, 4)


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(
        ValueError, match=r"^path: got '.*', which holds no picture; expected .jpg, .*, .png, .webp"
    ):
        image_folder(tmp_path, 4)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match="which holds no picture"):
        image_folder(tmp_path, 4)
    with pytest.raises(FileNotFoundError, match=r"^path: got '.*gone', which is not a folder"):
        image_folder(tmp_path / "gone", 4)
    with pytest.raises(FileNotFoundError, match=r"^path: got '.*a.txt', which is not a folder"):
        image_folder(tmp_path / "a.txt", 4)


@pytest.mark.parametrize("size", [0, -3, True, 8.0, "8", None, 2049, 10**6])
def test_a_size_that_is_no_size(tmp_path, without_type_checks, size):
    with pytest.raises(ValueError, match=rf"^size: got {size!r}; expected a positive integer"):
        image_folder(tmp_path, size)
