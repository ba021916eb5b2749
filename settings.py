"""Settings read from the environment; imported by entry points only, never by a layer."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where the servers are and how this installation behaves; frozen after reading.

    Temporal's address, namespace, TLS and API key may also come from Temporal's own environment
    configuration (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_*,
    TEMPORAL_CONFIG_FILE); DURABILL_TEMPORAL_ADDRESS wins over it.
    """

    model_config = SettingsConfigDict(env_prefix="DURABILL_", frozen=True, extra="ignore")

    database_url: str = Field(default="postgresql://localhost:5432/durabill")
    temporal_address: str | None = None
    temporal_namespace: str | None = None
    temporal_ui_url: str | None = None
    """Where operators see workflows, for links to their histories; default: no links."""
    gateway_url: str = "http://127.0.0.1:9900"
    public_url: str | None = None
    """Where customers reach the hosted pages; default: the address the request came to."""
    api_host: str = "127.0.0.1"
    api_port: int = 8000
    admin_key: str | None = None
    database_pool_size: int = 10
