"""How an entry point reaches Temporal; no workflow imports it."""

from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from workflows import attributes
from workflows.payloads import DATA_CONVERTER

DEFAULT_ADDRESS = "localhost:7233"


async def connect(
    address: str | None, namespace: str | None, *, lazy: bool = False, patient: bool = True
) -> Client:
    """A client; what is not given comes from Temporal's own environment configuration.

    `lazy` connects at the first call; an impatient client gives up within a second, so that a
    request can answer 503 instead of hanging.
    """
    config: dict[str, Any] = dict(ClientConfig.load_client_connect_config())
    config.setdefault("target_host", DEFAULT_ADDRESS)
    if address is not None:
        config["target_host"] = address
    if namespace is not None:
        config["namespace"] = namespace
    if not patient:
        config["retry_config"] = RetryConfig(max_retries=2, max_elapsed_time_millis=800)
    return await Client.connect(**config, data_converter=DATA_CONVERTER, lazy=lazy)


async def register_search_attributes(client: Client) -> None:
    """Makes ours known to the namespace; known ones are left alone."""
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = [key.name for key in attributes.ALL if key.name not in known.custom_attributes]
    if not missing:
        return
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace,
                search_attributes=dict.fromkeys(
                    missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
                ),
            )
        )
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise
