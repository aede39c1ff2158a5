"""The operator's process: `python -m openvenue_operator`, ended by SIGTERM or SIGINT."""

from openvenue.first_process import end_at_sigterm

end_at_sigterm()  # Before importing what takes a second.

import argparse
import asyncio
import logging

import httpx2
import kopf
from lightkube import AsyncClient
from openvenue.settings import bad_settings_end_the_process
from openvenue.telemetry import configure_logging, get_logger

from openvenue_operator.cluster import Venue, connect
from openvenue_operator.handlers import Loops, kopf_settings, registry_of
from openvenue_operator.probes import Readiness, serving
from openvenue_operator.scrape import new_session
from openvenue_operator.settings import OperatorSettings

_KIND_POLL_S = 2.0
# They log every call and event, which the metrics count.
_QUIET_LOGGERS = ("httpx2", "kopf")

_log = get_logger(__name__)


async def serve(settings: OperatorSettings) -> None:
    """Run until a signal."""
    async with connect() as client, new_session() as session:
        loops, readiness = Loops(client, session, settings), Readiness(settings.failing_timeout_s)
        async with serving(
            settings.http_host, settings.http_port, loops, settings.hang_timeout_s, readiness
        ):
            namespaces = settings.namespace_names
            for namespace in namespaces or ("*",):
                await _wait_for_kind(client, namespace, readiness)
            readiness.problem = None
            _log.info("operator started", identity=settings.identity, namespaces=namespaces)
            await kopf.operator(
                registry=registry_of(loops),
                settings=kopf_settings(settings.watch_silence_s),
                clusterwide=not namespaces,
                namespaces=namespaces,
            )


async def _wait_for_kind(client: AsyncClient, namespace: str, readiness: Readiness) -> None:
    """Wait until the API server knows Venues, because kopf looks for them only once."""
    while True:
        try:
            async for _venue in client.list(Venue, namespace=namespace, chunk_size=1):
                break
        except (httpx2.HTTPError, OSError) as error:
            # The kind, the rights, or the API server itself may still be missing.
            readiness.problem = f"no Venues can be read yet: {error}"
            _log.warning("no Venues can be read yet", namespace=namespace, problem=str(error))
            await asyncio.sleep(_KIND_POLL_S)
        else:
            return


def main() -> None:
    """Read the settings and run."""
    argparse.ArgumentParser(
        prog="python -m openvenue_operator",
        description="Tunes the APIs of OpenVenue's Venues in a Kubernetes cluster.",
        epilog=_describe_settings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    with bad_settings_end_the_process():
        settings = OperatorSettings()
    configure_logging(settings.log_level, settings.log_format)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    asyncio.run(serve(settings))


def _describe_settings() -> str:
    prefix = OperatorSettings.model_config["env_prefix"]
    lines = [
        f"  {prefix}{name.upper()}: {field.description or 'see the API'}"
        for name, field in OperatorSettings.model_fields.items()
    ]
    return "\n".join(["environment variables:", *lines])


if __name__ == "__main__":
    main()
