"""How messages become payloads: pydantic's JSON, its schemas made once; it knows no message."""

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import CompositePayloadConverter, DataConverter

# Each workflow gets a converter of its own, and an adapter for a type takes longer to make than a
# payload takes to read: their caches are shared.
_SHARED = tuple(PydanticPayloadConverter().converters.values())


class PayloadConverter(CompositePayloadConverter):
    """Reads and writes the same bytes as temporalio's pydantic converter."""

    def __init__(self) -> None:
        """Of no state of its own."""
        super().__init__(*_SHARED)


DATA_CONVERTER = DataConverter(payload_converter_class=PayloadConverter)
"""For every client, worker and replayer."""
