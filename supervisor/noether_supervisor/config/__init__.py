"""The configuration file: models with every default stated once, reading, places, schema.

Promises: a `SchedulerConfig` that `read_config` returned is complete and consistent; whatever is
wrong with a file is reported at once, each finding with its place; secrets appear in no text.
"""

from noether_supervisor.config.document import Document, read_document
from noether_supervisor.config.models import Job, JobSettings, RetrySettings, SchedulerConfig
from noether_supervisor.config.reading import (
    DocumentCheck,
    config_error,
    document_findings,
    read_config,
)
from noether_supervisor.config.secrets import Secret, read_secret
from noether_supervisor.config.webhook import WebhookSettings, settings_of, signing_key

__all__ = [
    "Document",
    "DocumentCheck",
    "Job",
    "JobSettings",
    "RetrySettings",
    "SchedulerConfig",
    "Secret",
    "WebhookSettings",
    "config_error",
    "document_findings",
    "read_config",
    "read_document",
    "read_secret",
    "settings_of",
    "signing_key",
]
