"""What Great Expectations works out is remembered for one suite, and is what it would work out."""

from segmentation_pipeline.validation.quiet_great_expectations import (
    Expectation,
    ExpectationConfiguration,
    ExpectColumnValuesToBeInSet,
    IDDict,
)
from segmentation_pipeline.validation.remembering import remembered_configurations


def test_a_configuration_is_made_once_and_only_within_the_block():
    expectation = ExpectColumnValuesToBeInSet(column="age", value_set=[1], mostly=0.5)
    other = ExpectColumnValuesToBeInSet(column="sex", value_set=["w"], mostly=0.5)
    before = expectation.configuration
    made = Expectation.configuration

    with remembered_configurations():
        found = expectation.configuration
        assert found is not before
        assert found == before
        assert expectation.configuration is found
        assert found.to_domain_obj() is found.to_domain_obj()
        assert found.to_domain_obj() == expectation
        assert other.configuration.kwargs == {
            "column": "sex",
            "value_set": ["w"],
            "mostly": 0.5,
        }

    assert Expectation.configuration is made
    assert expectation.configuration is not found
    assert ExpectationConfiguration.to_domain_obj(found) is not found.to_domain_obj()


def test_digests_are_those_of_great_expectations():
    sets = [
        IDDict(values)
        for values in (
            {},
            {"a": 1},
            {"a": 1, "b": "x"},
            {"b": "x", "a": 1},
            {"a": True, "b": "x"},
            {"a": 1.0, "b": "x"},
            {"a": 1, "b": ["x", "y"]},
            {"a": None, "b": {"c": 1}},
        )
    ]
    expected = [one.to_id() for one in sets]

    with remembered_configurations():
        assert [one.to_id() for one in sets] == expected
        assert [one.to_id() for one in sets] == expected
        assert sets[2].to_id(id_keys=["a"]) == "a=1"
