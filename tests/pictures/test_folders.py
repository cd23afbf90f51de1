"""Which files of a folder are images, and how the others are counted."""

import os
from pathlib import Path

import pytest

from xmir_cli.pictures.folders import FolderSearch
from xmir_cli.pictures.items import list_items

DICOM = bytes(128) + b"DICM"
DIRECTORY = DICOM + b"\2\0\0\0UL\4\0\0\0\0\0\2\0\2\0UI\x14\x001.2.840.10008.1.3.10"
PNG = b"\x89PNG\r\n\x1a\n"


def put(**files: bytes) -> None:
    for name, content in files.items():
        path = Path("cd") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def listed(argument: str) -> list[str]:
    return [item.id for item in list_items([argument], null_separated=False, where=None)]


@pytest.fixture
def cd() -> None:
    """A medium as a scanner writes it."""
    put(
        **{
            "DICOMDIR": DIRECTORY,
            "DICOM/PAT1/IM000001": DICOM,
            "DICOM/PAT1/IM000002": DICOM,
            "DICOM/1.2.840.113": DICOM,
            "DICOM/scan.IMA": DICOM,
            "a.png": PNG,
            "thumb": PNG,
            "photo.tmp": PNG,
            "autorun.inf": b"[autorun]",
            "README.TXT": b"read me",
            "LOCKFILE": b"",
            ".DS_Store": DICOM,
        }
    )


IMAGES = [
    "cd/DICOM/1.2.840.113",
    "cd/DICOM/PAT1/IM000001",
    "cd/DICOM/PAT1/IM000002",
    "cd/DICOM/scan.IMA",
    "cd/a.png",
    "cd/thumb",
]


@pytest.mark.usefixtures("cd")
def test_files_are_told_by_their_content_and_the_others_counted(capsys):
    assert listed("cd") == IMAGES
    assert capsys.readouterr().err == (
        "xmir: note: 6 files are no images and are left out of the folders: 1 .inf, 1 .tmp, "
        "1 .txt, 1 DICOMDIR, 1 hidden, 1 without an ending\n"
    )


@pytest.mark.usefixtures("cd")
@pytest.mark.parametrize("pattern", ["cd/*", "cd/**"])
def test_a_pattern_without_an_ending_finds_what_a_folder_has(pattern, capsys):
    assert listed(pattern) == IMAGES
    assert "5 files are no images" in capsys.readouterr().err


@pytest.mark.usefixtures("cd")
def test_files_and_endings_that_are_named_stay_to_be_skipped_by_name(capsys):
    assert listed("cd/DICOMDIR") == ["cd/DICOMDIR"]
    assert listed("cd/*.inf") == ["cd/autorun.inf"]
    assert not capsys.readouterr().err


def test_nothing_is_said_where_nothing_is_left_out_but_a_table(capsys):
    put(**{"a.png": b"", "labels.csv": b"path,label"})
    assert listed("cd") == ["cd/a.png"]
    assert not capsys.readouterr().err


def test_pipes_and_broken_links_are_not_opened(capsys):
    put(IM1=DICOM)
    os.mkfifo("cd/pipe")
    Path("cd/broken").symlink_to("nowhere")
    assert listed("cd") == ["cd/IM1"]
    assert capsys.readouterr().err == (
        "xmir: note: 2 files are no images and are left out of the folders: 2 no regular file\n"
    )


def test_one_search_counts_for_all_folders(capsys):
    put(**{f"{folder}/x{number}.log": b"" for folder in "ab" for number in range(3)})
    search = FolderSearch()
    assert search.find("cd/a") + search.find("cd/b") == []
    search.tell()
    assert (
        "6 files are no images and are left out of the folders: 6 .log" in capsys.readouterr().err
    )
