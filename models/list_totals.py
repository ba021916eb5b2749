"""List totals: how many living rows a merchant has in a table; triggers keep the figures."""

from sqlmodel import Field

from models.base import Table


class ListTotal(Table, table=True):
    """The exact length of a merchant's whole list of one kind."""

    __tablename__ = "list_totals"

    merchant_id: str = Field(primary_key=True)
    list: str = Field(primary_key=True)
    """The table's name."""
    total: int
