import datetime as dt

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.files import digest_file, file_date, source_files
from segmentation_pipeline.warehouse import literal


def test_a_glob_gives_files_in_the_order_of_their_names(workshop, make_source):
    for name in ("b.csv", "a.csv", "sub/c.csv", "d.txt"):
        workshop.write("id\n1\n", f"sources/{name}")
    (workshop.home / "sources" / "folder.csv").mkdir()
    found = source_files(workshop.home, "people", make_source(path="sources/**/*.csv"))
    names = [path.relative_to(workshop.home).as_posix() for path in found]
    assert names == ["sources/a.csv", "sources/b.csv", "sources/sub/c.csv"]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_file_whose_name_looks_like_a_glob_is_itself(workshop, make_source, file_format):
    named, other = f"it's {{peo}}[p]le*?.{file_format}", f"it's {{peo}}ple2.{file_format}"
    for name, key in ((named, 1), (other, 9)):
        row = f"SELECT {key} AS id, 1 AS age, 'x' AS name"
        path = (workshop.home / name).as_posix()
        workshop.query(f"COPY ({row}) TO {literal(path)} (FORMAT {file_format})")
    source = make_source(path=named, format=file_format)
    assert [p.name for p in source_files(workshop.home, "people", source)] == [named]
    workshop.load(source)
    assert workshop.rows("id") == [("1",)]


def test_no_file_is_an_error(workshop, make_source):
    with pytest.raises(SourceError, match=r"source people: no file matches `people.csv`"):
        source_files(workshop.home, "people", make_source())


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_symbolic_link_out_of_the_home_is_refused(workshop, make_source, tmp_path, is_folder):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "people.csv").write_text("id\n1\n")
    if is_folder:
        (workshop.home / "in").symlink_to(outside)
        source = make_source(path="in/people.csv")
    else:
        (workshop.home / "people.csv").symlink_to(outside / "people.csv")
        source = make_source()
    with pytest.raises(SourceError, match="leads out of the home"):
        source_files(workshop.home, "people", source)


def test_a_path_out_of_the_home_is_refused(workshop, make_source, tmp_path):
    (tmp_path / "people.csv").write_text("id\n1\n")
    for path in ("../people.csv", str(tmp_path / "people.csv")):
        with pytest.raises(SourceError, match="leads out of the home"):
            source_files(workshop.home, "people", make_source(path=path))


def test_a_symbolic_link_within_the_home_is_followed(workshop, make_source):
    workshop.write("id,age,name\n1,2,x\n", "real.csv")
    (workshop.home / "people.csv").symlink_to(workshop.home / "real.csv")
    assert len(source_files(workshop.home, "people", make_source())) == 1


def test_a_digest_is_the_sha256_of_the_bytes(workshop):
    file = digest_file(workshop.home, workshop.write("abc"))
    assert file.digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (file.name, file.bytes) == ("people.csv", 3)


def test_a_file_that_changes_after_its_digest_is_refused(workshop):
    path = workshop.write("id,age,name\n1,2,x\n")
    file = digest_file(workshop.home, path)
    file.require_unchanged()
    with path.open("a") as appended:
        appended.write("2,3,y\n")
    with pytest.raises(SourceError, match=r"people.csv: it changed while it was read"):
        file.require_unchanged()
    path.unlink()
    with pytest.raises(SourceError, match=r"people.csv: it cannot be read: No such file"):
        file.require_unchanged()


def test_a_file_is_dated_by_its_name(tmp_path):
    path = tmp_path / "crm_2025-02-28.csv"
    assert file_date("crm_%Y-%m-%d.csv", path) == dt.date(2025, 2, 28)
    with pytest.raises(SourceError, match=r"crm_2025-02-28.csv: the name does not give"):
        file_date("crm_%d.%m.%Y.csv", path)
