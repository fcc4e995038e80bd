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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"must start with a row of column names"),
        (b"\nid\n", r"must start with a row of column names"),
        (b"id,sex,id\n", r"must name each column once\. Got: \['id'\] more than once"),
        (b"id\n\xff\n", r"must be a CSV table in UTF-8\. Got: .*0xff"),
        (b'id\n"a\n', r"must be a CSV table in UTF-8\. Got: unexpected end of data"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, message):
    with pytest.raises(TableError, match=r"table\.csv " + message):
        read_table(write(tmp_path, content), [])


def test_absent_file_is_named(tmp_path):
    with pytest.raises(TableError, match=r"table\.csv must exist\.$"):
        read_table(tmp_path / "table.csv", [])
