"""Tests of `pipeline.cases.tables`."""

import pytest

from pipeline.cases.tables import TableError, read_table


def write(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    return path


def test_rows_come_with_the_line_they_start_on(tmp_path):
    """A quoted line break makes the row number and the line number differ."""
    path = write(tmp_path, b'id,note\na,"two\nlines"\n\nb,\n')

    records = read_table(path, ["id"]).records

    assert [(record.line, record.values["id"]) for record in records] == [(2, "a"), (5, "b")]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfid,sex\na,male\n",  # byte order mark, as Excel writes
        b"id,sex\r\na,male\r\n",
        b"id,sex\na,male",  # no last line break
        b' id , sex\n a ," male"\n',
    ],
)
def test_marks_line_ends_and_blanks_do_not_change_what_is_read(tmp_path, content):
    (record,) = read_table(write(tmp_path, content), ["id", "sex"]).records

    assert record.values == {"id": "a", "sex": "male"}
    assert record.problem == ""


def test_missing_column_names_file_and_column_and_lists_what_is_there(tmp_path):
    path = write(tmp_path, b"id,sex\n")

    with pytest.raises(
        TableError, match=r"table\.csv: column \['age'\] must be there\. Got: \['id', 'sex'\]\.$"
    ):
        read_table(path, ["id", "age"])


def test_several_missing_columns_are_named_at_once(tmp_path):
    with pytest.raises(TableError, match=r"columns \['age', 'site'\] must be there"):
        read_table(write(tmp_path, b"id\n"), ["age", "site"])


def test_first_of_several_possible_columns_is_taken(tmp_path):
    table = read_table(write(tmp_path, b"b,c\n"), [])

    assert table.require_one_of(["a", "c", "b"]) == "c"
    with pytest.raises(
        TableError, match=r"one of the columns \['x', 'y'\] must be there\. Got: \['b', 'c'\]\.$"
    ):
        table.require_one_of(["x", "y"])


def test_row_with_another_number_of_fields_is_a_problem_of_that_row_alone(tmp_path):
    path = write(tmp_path, b"id,sex\na\nb,male\nc,male,torso\n")

    records = read_table(path, ["id"]).records

    assert [record.problem for record in records] == [
        "row must have 2 fields, as the header. Got: 1.",
        "",
        "row must have 2 fields, as the header. Got: 3.",
    ]
    assert [record.values["id"] for record in records] == ["a", "b", "c"]


def test_columns_without_a_name_at_the_right_are_ignored(tmp_path):
    (record,) = read_table(write(tmp_path, b"id,sex,,\na,male,,\n"), ["id", "sex"]).records

    assert record.values == {"id": "a", "sex": "male", "": ""}
    assert record.problem == ""


@pytest.mark.parametrize("suffix", [".tab", ".tsv"])
def test_file_named_for_tabs_is_separated_by_tabs(tmp_path, suffix):
    path = (tmp_path / "table").with_suffix(suffix)
    path.write_bytes(b'id\tnote\n"a"\tone, two\n')

    (record,) = read_table(path, ["id"]).records

    assert record.values == {"id": "a", "note": "one, two"}


def test_table_of_a_header_alone_has_no_record(tmp_path):
    assert read_table(write(tmp_path, b"id,sex\n"), ["id"]).records == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r" must start with a row of column names"),
        (b"\nid\n", r" must start with a row of column names"),
        (b"id,sex,id\n", r" must name each column once\. Got: \['id'\] more than once"),
        (
            b"id,sex\na,male\n\nb,f\xe9minin\n",  # latin-1
            r" line 4 must be UTF-8\. Got: byte 0xe9 at place 4\. Save the table as UTF-8\.$",
        ),
        ("id,sex\n".encode("utf-16"), r" must be UTF-8\. Got: UTF-16\. Save the table as UTF-8"),
        ("id,sex\n".encode("utf-16-le"), r" must be UTF-8\. Got: zero bytes, as in UTF-16\.$"),
        (b"id;sex\na;male\n", r" must have columns separated by ','\. Got: ';' in line 1\.$"),
        (b"id\tsex\n", r" must have columns separated by ','\. Got: '\\t' in line 1\.$"),
        (b'id\n"a\n', r" line 2 must be a row of a CSV table\. Got: unexpected end of data"),
        (b'id\na\n"b"c\n', r" line 3 must be a row of a CSV table\. Got: ',' expected after"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, message):
    with pytest.raises(TableError, match=r"table\.csv" + message):
        read_table(write(tmp_path, content), [])


def test_line_that_is_not_utf_8_is_found_beyond_the_decoders_first_block(tmp_path):
    path = write(tmp_path, b"id,sex\n" + b"a,male\n" * 50_000 + b"\xff\n")

    with pytest.raises(TableError, match=r"line 50002 must be UTF-8\. Got: byte 0xff at place 1\."):
        read_table(path, [])


def test_absent_file_is_named(tmp_path):
    with pytest.raises(TableError, match=r"table\.csv must exist\.$"):
        read_table(tmp_path / "table.csv", [])
