"""What must not be kept, said or sent is taken out before anything else sees it."""

from aiopsd.redaction.people import ADDRESSES
from aiopsd.redaction.pseudonyms import Action, Names
from aiopsd.redaction.redactor import BUILT_IN, Redactor

__all__ = ["ADDRESSES", "BUILT_IN", "Action", "Names", "Redactor"]
