"""A model of which no unchecked instance comes about: the base of spec and recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from resgen.errors import UserError
from resgen.spec.mistakes import Document, noun
from resgen.spec.sentences import describe


class Checked(BaseModel):
    """Keys and nothing else: unknown ones are errors, values are taken as written and finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """A copy with some keys changed, checked as if it had been written so.

        Raises UserError for what could not have been.
        """
        if not update:
            return super().model_copy(deep=deep)
        data = {**self.model_dump(mode="json", exclude_unset=True), **update}
        try:
            checked = type(self).model_validate(data)
        except ValidationError as error:
            name = noun(type(self))
            document = Document(name, data, {}, {})
            raise UserError(*describe(error, type(self), document)) from None
        for name in self.__private_attributes__:  # such as where the keys were written
            setattr(checked, name, getattr(self, name))
        return checked.model_copy(deep=deep)
