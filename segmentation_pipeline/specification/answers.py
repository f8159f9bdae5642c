"""What an answer may be besides one value: a word on a scale, several options, a text.

What belongs here: the settings of such columns, and which columns of `customers` they become. How
the answers are read belongs to `ingestion.scales_sql` and `ingestion.answers_sql`.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from segmentation_pipeline.specification.closed import ClosedModel

PartType = Literal["boolean", "integer", "number"]
ANSWER_TYPES = ("choices", "free_text")
"""Types of columns that become other columns of `customers`."""
COUNT, OTHER = "count", "other"
_LONGEST_PART = 40

Options = Annotated[list[str], Field(min_length=1, max_length=100)]


@dataclass(frozen=True)
class AnswerPart:
    """A column of `customers` that an answer becomes: `<column>__<name>`.

    `option` is the one that a yes/no column stands for, None of the other columns.
    """

    name: str
    type: PartType
    description: str
    unit: str | None = None
    option: str | None = None


TEXT_PARTS = (
    AnswerPart("characters", "integer", "length", "characters"),
    AnswerPart("words", "integer", "words between blanks", "words"),
    AnswerPart("digit_share", "number", "share of digits among the characters"),
    AnswerPart("blank_share", "number", "share of blanks among the characters"),
)
"""What is counted of a free text; none of it depends on the language."""


class AnswerSettings(ClosedModel):
    """How the answers in a column are to be understood."""

    words: dict[str, float] = {}
    """What an answer in words is worth, of a number: `strongly agree: 5`. It is the whole answer;
    case and blanks don't count."""
    number: Literal["alone", "only", "first", "last"] = "alone"
    """Where the number stands in an answer such as `5 - agree`, `4/5` or `about 30 minutes`: it is
    the `first` or the `last` of the answer's numbers, or the `only` one; `alone`, without any words
    besides, where nothing is said."""
    reverse: bool = False
    """Whether a high answer means little: the value is then `minimum` + `maximum` - answer. Both
    must be given, the ends of the scale; answers beyond them become missing, and are counted."""
    options: Options | None = None
    """Of `choices`: what could be chosen. Each becomes a yes/no column `<column>__<option>`, their
    number `<column>__count`. `aliases` lead other spellings to them."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    """Of `choices`: what stands between two of them, such as ";"."""
    none_words: list[str] = []
    """Of `choices`: answers that mean that none was chosen, such as `none of these`."""
    blank: Literal["missing", "none"] = "missing"
    """Of `choices`: what a blank answer means: that nobody answered, or that none was chosen."""
    unlisted: Literal["missing", "other"] = "missing"
    """Of `choices`: what becomes of an answer with an option that is not listed: it is missing as a
    whole, or the option counts as `<column>__other`. Either way it is counted."""

    def check_answers(
        self, column_type: str, aliases: Mapping[str, Sequence[str]], scale: Sequence[float | None]
    ) -> None:
        """Raise ValueError where settings contradict the type or each other.

        `scale` are the column's `minimum` and `maximum`.
        """
        is_numeric = column_type in ("integer", "number")
        is_choices = column_type == "choices"
        fits = {
            "words": is_numeric or not self.words,
            "number": is_numeric or self.number == "alone",
            "reverse": is_numeric or not self.reverse,
            "options": is_choices or self.options is None,
            "separator": is_choices or self.separator is None,
            "none_words": is_choices or not self.none_words,
            "blank": is_choices or self.blank == "missing",
            "unlisted": is_choices or self.unlisted == "missing",
        }
        for setting, is_fit in fits.items():
            if not is_fit:
                raise ValueError(f"`{setting}` makes no sense for a column of type {column_type}")
        is_whole = column_type == "integer"
        self._check_words(is_whole=is_whole)
        self._check_reverse(scale, is_whole=is_whole)
        if is_choices:
            self._check_options(aliases)

    def _check_words(self, *, is_whole: bool) -> None:
        meanings: dict[str, float] = {}
        for word, worth in self.words.items():
            if _is_number(word):
                raise ValueError(f"`words`: `{word}` is a number, and is read as one")
            if not folded(word):
                raise ValueError(
                    "`words`: a blank answer is no word: see `null_words`, and `impute` for what "
                    "it becomes"
                )
            if is_whole and not worth.is_integer():
                raise ValueError(
                    f"`words`: `{word}` is worth {worth:g}, and the column is of type integer: "
                    "make it a `number`"
                )
            if meanings.setdefault(folded(word), worth) != worth:
                raise ValueError(f"`words`: `{word}` stands there twice, with two values")

    def _check_reverse(self, scale: Sequence[float | None], *, is_whole: bool) -> None:
        if not self.reverse:
            return
        ends = [end for end in scale if end is not None]
        if len(ends) < 2 or ends[0] >= ends[1]:
            raise ValueError(
                "`reverse` needs the ends of the scale: `minimum`, and a larger `maximum`"
            )
        if is_whole and not all(float(end).is_integer() for end in ends):
            raise ValueError("the scale of a whole number has whole ends")

    def _check_options(self, aliases: Mapping[str, Sequence[str]]) -> None:
        if self.options is None or self.separator is None:
            raise ValueError(
                "a column of type choices needs `options`, what could be chosen, and `separator`, "
                "what stands between two of them"
            )
        unlisted = sorted(set(aliases) - set(self.options))
        if unlisted:
            raise ValueError(f"`aliases` leads to names that `options` doesn't list: {unlisted}")
        meanings: dict[str, str] = {}
        spelled = [(option, option) for option in self.options]
        spelled += [(one, option) for option, meant in aliases.items() for one in meant]
        spelled += [(word, "none of them") for word in self.none_words]
        for spelling, option in spelled:
            if not folded(spelling):
                raise ValueError("`options`: a blank is no option: see `blank`")
            if self.separator in spelling:
                raise ValueError(
                    f"`{spelling}` holds the separator `{self.separator}`: it would be read as two "
                    "options; export the answers with another separator"
                )
            if meanings.setdefault(folded(spelling), option) != option:
                raise ValueError(
                    f"the spelling `{spelling}` means both `{meanings[folded(spelling)]}` and "
                    f"`{option}`"
                )
        if len(set(self.options)) < len(self.options):
            raise ValueError("an option stands in `options` twice")
        self._check_names(self.options)

    def _check_names(self, options: Sequence[str]) -> None:
        taken: dict[str, str] = {}
        for option in options:
            name = part_name(option)
            advice = f"call it otherwise, and let `aliases` lead `{option}` there"
            if not name:
                raise ValueError(
                    f"no column can be called after the option `{option}`, which has no letter of "
                    f"a to z and no digit: {advice}"
                )
            if name == COUNT:
                raise ValueError(f"`{COUNT}` is the number of options chosen: {advice}")
            if taken.setdefault(name, option) != option:
                raise ValueError(
                    f"the options `{taken[name]}` and `{option}` would both be `{name}`: {advice}"
                )

    def choice_parts(self) -> list[AnswerPart]:
        """List what the choices become: a part for each option, `other` where asked for, `count`.

        An option that is itself called "other" is the one for those that are not listed.
        """
        parts = [
            AnswerPart(part_name(option), "boolean", option, option=option)
            for option in self.options or ()
        ]
        if self.unlisted == "other" and OTHER not in [part.name for part in parts]:
            parts.append(AnswerPart(OTHER, "boolean", "an option that is not listed", option=OTHER))
        return [*parts, AnswerPart(COUNT, "integer", "options chosen", "options")]


def folded(spelling: str) -> str:
    """Write a spelling without what doesn't count: case, outer blanks, kinds of inner ones."""
    return " ".join(spelling.split()).lower()


def part_name(option: str) -> str:
    """Make the plain name of an option; empty where it has no letter of a to z and no digit.

    >>> part_name("E-Mail (work)"), part_name("Café"), part_name("電話")
    ('e_mail_work', 'cafe', '')
    """
    letters = without_accents(option).lower()
    return re.sub(r"[^a-z0-9]+", "_", letters).strip("_")[:_LONGEST_PART].strip("_")


def without_accents(text: str) -> str:
    """Write a text with plain letters where it has accented ones.

    >>> without_accents("Größe"), without_accents("Prénom")
    ('Grosse', 'Prenom')
    """
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(one for one in plain if not unicodedata.combining(one))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
