"""Answers of surveys: what a declaration may say, and the features that it is made into."""

import pytest
from pydantic import ValidationError

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.ingestion.declaration import reading_digest
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import fitting_digest, load_home
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.specification.unused import unused_texts

CUSTOMERS = """\
name: Clinic staff
nights: {first: 2025-06-24}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: staff_id
    columns:
      staff_id: {type: text}
      publications: {type: integer}
  asked:
    kind: survey
    path: asked.csv
    key: staff_id
    time: at
    columns:
      staff_id: {type: text}
      at: {type: date}
      channels: {type: choices, separator: ";", options: [E-mail, phone], unlisted: other}
      note: {type: free_text, description: What they add}
      illness: {type: choices, separator: ";", options: [flu, cold], sensitive: true}
customers: {base: crm}
"""
BEGINNING = """\
title: Engagement
criteria: {preferences: How they like to be asked.}
features:
  publications: {criterion: preferences}
"""


@pytest.fixture
def load(write_home):
    def load(features, customers=CUSTOMERS, more=""):
        text = BEGINNING + "".join(f"  {line}\n" for line in features) + more
        return load_home(write_home(customers, engagement=text))

    return load


@pytest.fixture
def features(load):
    return lambda *lines: load(lines).segmentations["engagement"].features


CHOICES = {"type": "choices", "options": ["a", "b"], "separator": ";"}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"type": "text", "words": {"yes": 1}}, "`words` makes no sense for a column of type text"),
        ({"type": "category", "reverse": True}, "`reverse` makes no sense"),
        ({"type": "integer", "words": {"half": 0.5}}, "`half` is worth 0.5"),
        ({"type": "integer", "words": {"5": 1}}, "`5` is a number, and is read as one"),
        ({"type": "integer", "words": {" ": 1}}, "see `null_words`"),
        ({"type": "number", "words": {"no": 1, "NO ": 2}}, "`NO ` stands there twice"),
        ({"type": "integer", "reverse": True, "minimum": 1}, "needs the ends of the scale"),
        ({"type": "integer", "reverse": True, "minimum": 5, "maximum": 1}, "a larger `maximum`"),
        ({"type": "integer", "reverse": True, "minimum": 0.5, "maximum": 5}, "has whole ends"),
        ({"type": "choices", "options": ["a"]}, "needs `options`, what could be chosen, and"),
        ({**CHOICES, "options": ["a", "x;y"]}, "`x;y` holds the separator `;`"),
        ({**CHOICES, "options": ["a", "A"]}, "the spelling `A` means both `a` and `A`"),
        ({**CHOICES, "options": ["a", "a"]}, "an option stands in `options` twice"),
        ({**CHOICES, "options": ["a+b", "a-b"]}, "would both be `a_b`: call it otherwise"),
        ({**CHOICES, "options": ["電話"]}, "no column can be called after the option `電話`"),
        ({**CHOICES, "options": ["Count"]}, "`count` is the number of options chosen"),
        ({**CHOICES, "aliases": {"c": ["C."]}}, r"names that `options` doesn't list: \['c'\]"),
        ({**CHOICES, "none_words": ["B"]}, "means both `b` and `none of them`"),
        ({**CHOICES, "impute": {"method": "mode"}}, "can only be `exclude_customer`"),
        ({"type": "free_text", "personal": False}, "free text is personal: people write names"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(column, message):
    with pytest.raises(ValidationError, match=message):
        ColumnSpec.model_validate(column)


def test_a_free_text_is_personal_and_its_counts_are_not():
    column = ColumnSpec(type="free_text", description="Note")

    assert column.personal
    assert {name: (one.type, one.personal) for name, one in column.as_columns("note").items()} == {
        "note__characters": ("integer", False),
        "note__words": ("integer", False),
        "note__digit_share": ("number", False),
        "note__blank_share": ("number", False),
    }


@pytest.mark.parametrize("name", ["channels__email", "channels__count"])
def test_a_column_of_the_name_of_a_part_is_refused(name):
    columns = {"id": {"type": "text"}, "channels": {**CHOICES, "options": ["email"]}}
    columns[name] = {"type": "boolean"}

    with pytest.raises(ValidationError, match=f"`{name}` is made of `channels`"):
        SourceSpec.model_validate({"kind": "crm", "path": "a", "key": "id", "columns": columns})


def test_an_answer_is_no_key():
    columns = {"id": {"type": "free_text"}}
    with pytest.raises(ValidationError, match="`id`, which is free_text, no id"):
        SourceSpec.model_validate({"kind": "crm", "path": "a", "key": "id", "columns": columns})


def test_two_sources_have_an_answer_in_the_same_way(load):
    other = CUSTOMERS.replace(
        "publications: {type: integer}", "publications: {type: integer}\n      note: {type: text}"
    )
    with pytest.raises(SpecificationError, match="column `note` has different types"):
        load([], other)


def test_a_column_of_an_earlier_release_is_read_as_before():
    given = {"kind": "crm", "path": "a", "key": "id"}
    plain = SourceSpec.model_validate(given | {"columns": {"id": {"type": "text"}}})

    # As the release before had it: whoever changes it makes every home read all its files again.
    assert reading_digest(plain) == (
        "7a1c41b6c4b9050846a7193b771ed20bfc5f7dec3b13ab9e22405953c14904b5"
    )


def test_choices_become_a_block_of_features_and_a_count_that_describes(features):
    line = "channels: {criterion: preferences, weight: 2, words: {phone: callers}}"

    found = features(line)

    assert list(found) == [
        "publications",
        "channels__e_mail",
        "channels__phone",
        "channels__other",
        "channels__count",
    ]
    phone, count = found["channels__phone"], found["channels__count"]
    assert (phone.column, phone.block, phone.use, phone.weight) == (
        "channels__phone", "channels", "clustering", 2,
    )  # fmt: skip
    assert (phone.words, phone.description) == ({"high": "callers"}, "channels: phone")
    assert (count.use, count.block, count.unit) == ("profile", None, "options")


def test_a_feature_may_have_another_name_and_only_describe(features):
    found = features("ways: {use: profile, column: channels}")

    assert {name: one.use for name, one in found.items() if name != "publications"} == {
        "ways__e_mail": "profile",
        "ways__phone": "profile",
        "ways__other": "profile",
        "ways__count": "profile",
    }
    assert found["ways__e_mail"].column == "channels__e_mail"
    assert {one.block for one in found.values()} == {None}


def test_one_column_says_who_gave_no_answer(features):
    found = features("channels: {criterion: preferences, missing: indicator}")

    assert [one.missing for name, one in found.items() if one.block == "channels"] == [
        "indicator", "centre", "centre",
    ]  # fmt: skip


def test_an_own_feature_for_the_count_takes_its_place(features):
    lines = ["channels: {criterion: preferences}", "channels__count: {criterion: preferences}"]

    found = features(*lines)

    assert found["channels__count"].use == "clustering"


def test_a_free_text_describes_by_its_counts(features):
    found = features("note: {use: profile}")

    assert list(found)[1:] == [
        "note__characters", "note__words", "note__digit_share", "note__blank_share",
    ]  # fmt: skip
    assert {one.use for name, one in found.items() if name.startswith("note")} == {"profile"}


def test_parts_are_columns_that_expressions_and_features_may_read(features):
    lines = [
        "note__words: {criterion: preferences}",
        'digital: {criterion: preferences, expression: "channels__e_mail AND NOT channels__phone"}',
    ]

    assert list(features(*lines)) == ["publications", "note__words", "digital"]


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("note: {criterion: preferences}", "features.note", "`note` is free text: it is personal"),
        (
            "note: {criterion: preferences, encoding: {kind: one_hot}}",
            "features.note",
            "Use a count of it as a feature (`note__characters`, `note__words`",
        ),
        (
            'loud: {criterion: preferences, expression: "upper(note)"}',
            "features.loud.expression",
            "sort the answers into a category where they come from",
        ),
        (
            "both: {criterion: preferences, expression: \"contains(channels, 'phone')\"}",
            "features.both.expression",
            "`channels` holds several options, which are columns of their own: `channels__e_mail`",
        ),
        (
            "channels: {criterion: preferences, encoding: {kind: one_hot}}",
            "features.channels.encoding",
            "each option is yes or no",
        ),
        (
            "channels: {criterion: preferences, words: {email: writers}}",
            "features.channels.words",
            "`email`: did you mean `E-mail`?",
        ),
        ("illness: {criterion: preferences}", "features.illness", "`illness` is sensitive"),
        (
            "illness__flu: {criterion: preferences}",
            "features.illness__flu",
            "`illness__flu` is sensitive",
        ),
    ],
)
def test_what_cannot_be_made_of_an_answer_is_refused_by_line(load, tmp_path, line, place, message):
    with pytest.raises(SpecificationError) as refused:
        load([line])

    assert str(refused.value).startswith(f"{tmp_path}/segmentations/engagement.yaml:5: {place}: ")
    assert message in str(refused.value)


def test_a_feature_that_would_be_made_twice_is_refused(load):
    lines = ["channels: {criterion: preferences}", "channels__phone: {use: profile}"]

    with pytest.raises(SpecificationError, match=r"yaml:6: .*`channels` makes a feature of this"):
        load(lines)


def test_conditions_read_parts_and_say_so(load):
    assert load([], more="where: channels__phone OR note__words > 3\n")
    with pytest.raises(SpecificationError, match=r"where: `note` is free text"):
        load([], more="where: note LIKE '%call%'\n")


def test_a_block_counts_in_what_a_model_is_fitted_on_and_none_does_not():
    def digest(**block):
        feature = {"criterion": "needs", **block}
        content = {"title": "t", "criteria": {"needs": "n"}, "features": {"x": feature}}
        return fitting_digest(SegmentationSpec.model_validate(content))

    assert digest() != digest(block="items")
    # As the release before had it: whoever changes it makes every home fit its models anew.
    assert digest() == ("0d1e28eb375d3658d280ebbbe8204e2ad93cec8880e5165460274fdab1db7f5c")


def test_a_block_is_not_called_like_a_feature():
    features = {"x": {"criterion": "needs", "block": "y"}, "y": {"criterion": "needs"}}
    content = {"title": "t", "criteria": {"needs": "n"}, "features": features}

    with pytest.raises(ValidationError, match="its block `y` has the name of a feature"):
        SegmentationSpec.model_validate(content)


def test_the_first_of_a_survey_needs_a_time():
    columns = {"id": {"type": "text"}, "q": {"type": "integer"}}
    content = {"kind": "survey", "path": "a", "key": "id", "columns": columns, "keep": "first"}

    with pytest.raises(ValidationError, match="`keep: first` needs `time`"):
        CustomersSpec.model_validate(
            {
                "name": "n",
                "nights": {"first": "2025-01-01"},
                "sources": {"asked": content},
                "customers": {"base": "asked"},
            }
        )


def test_texts_that_nothing_uses_are_named(load):
    columns = """\
      role: {type: text}
      memo: {type: text}
      full_name: {type: text, personal: true}
      remark: {type: free_text}
"""
    customers = CUSTOMERS.replace("      publications:", columns + "      publications:")
    nurse = "nurse: {criterion: preferences, expression: \"role = 'nurse'\"}"
    words = "note__words: {criterion: preferences}"

    assert unused_texts(load([], customers)) == {
        "crm": ["role", "memo", "remark"], "asked": ["note"],
    }  # fmt: skip
    assert unused_texts(load([nurse, words], customers)) == {"crm": ["memo", "remark"]}
