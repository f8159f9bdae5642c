"""With a key, customers are published under pseudonyms; without it nothing is published."""

import datetime as dt
import hashlib
import hmac

import pytest

from segmentation_pipeline.errors import PublicationError, SpecificationError
from segmentation_pipeline.publication import erase_customers, publish, verify
from segmentation_pipeline.publication.pseudonyms import (
    key_fingerprint,
    pseudonym,
    pseudonym_key,
    pseudonym_sql,
)
from segmentation_pipeline.specification.home import load_home

KEY = b"a secret of this test"
OTHER_KEY = b"another secret of it"
VARIABLE = "PSEUDONYM_KEY"


def publish_under(workbench, build, key, **options):
    with workbench.open() as connection:
        validated = workbench.make_night(connection, build, **options)
        return publish(
            connection, workbench.home, build, workbench.ready(), validated, pseudonym_key=key
        )


def with_variable(workbench, variable=VARIABLE):
    file = workbench.home.path / "customers.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("keep_versions: 3", f"keep_versions: 3, pseudonym_key_variable: {variable}"),
        encoding="utf-8",
    )
    return load_home(workbench.home.path)


@pytest.mark.parametrize("key", [KEY, b"k" * 64, b"k" * 65, "schlüssel".encode() * 2, b"'" * 20])
@pytest.mark.parametrize("customer_id", ["EMP-000017", "Zoë", "'; DROP TABLE x; --", ""])
def test_the_pseudonym_is_the_hmac_of_the_standard_library(workbench, key, customer_id):
    expected = hmac.new(key, customer_id.encode(), hashlib.sha256).hexdigest()[:32]

    assert pseudonym(key, customer_id) == expected
    with workbench.open() as connection:
        query = f"SELECT {pseudonym_sql(key, 'id')} FROM (SELECT ?::VARCHAR AS id)"
        assert connection.execute(query, [customer_id]).fetchall() == [(expected,)]


def test_no_id_is_published_and_all_tables_still_join(workbench, night):
    first = publish_under(workbench, night(1), KEY)
    publish_under(workbench, night(2), KEY, file_digest="bb")

    assert verify(workbench.home.published) == []
    assert first.manifest.pseudonym_key == key_fingerprint(KEY)
    expected = {pseudonym(KEY, f"c{number}") for number in range(1, 7)}
    for table in ("customer_segments", "segment_history", "segment_movements"):
        found = {row[0] for row in workbench.read(f"SELECT customer_id FROM {table}")}
        assert found == expected, table
    assert not expected & {pseudonym(OTHER_KEY, f"c{number}") for number in range(1, 7)}


@pytest.mark.parametrize("key", [OTHER_KEY, None])
def test_another_key_than_that_of_the_nights_before_is_refused(workbench, night, key):
    before = publish_under(workbench, night(1), KEY)

    with pytest.raises(PublicationError, match="called otherwise") as caught:
        publish_under(workbench, night(2), key)

    assert "secret" not in str(caught.value)
    assert workbench.read("SELECT DISTINCT as_of FROM segments") == [(night(1).as_of,)]
    assert publish_under(workbench, night(1), KEY).digest == before.digest


def test_the_key_comes_from_the_environment_alone(workbench):
    assert pseudonym_key(workbench.home, {VARIABLE: KEY.decode()}) is None
    home = with_variable(workbench)

    assert pseudonym_key(home, {VARIABLE: KEY.decode()}) == KEY
    with pytest.raises(PublicationError, match=f"{VARIABLE}, which is not set"):
        pseudonym_key(home, {})
    with pytest.raises(PublicationError, match="fewer than 16") as caught:
        pseudonym_key(home, {VARIABLE: "too-short"})
    assert "too-short" not in str(caught.value)


def test_a_secret_in_the_file_is_refused(workbench):
    with pytest.raises(SpecificationError):
        with_variable(workbench, "'not a name'")


def test_an_erased_customer_leaves_no_pseudonym(workbench, night):
    publish_under(workbench, night(1), KEY)

    done = erase_customers(
        workbench.home,
        ["c3"],
        salt="salt",
        requested_on=dt.date(2025, 7, 1),
        pseudonym_key=KEY,
        on_step=lambda _: None,
    )

    assert done.versions == 1
    assert verify(workbench.home.published) == []
    found = {row[0] for row in workbench.read("SELECT customer_id FROM customer_segments")}
    assert len(found) == 6
    assert pseudonym(KEY, "c3") not in found
    assert pseudonym(KEY, "c4") in found
