"""Decides which of several operators tunes a Venue: the one that holds its Lease.

A holder writes nothing while no operator asks. An operator that wants the Lease writes its name
into it, and the holder answers by renewing it. If the holder does not answer within `PATIENCE_S`,
it has gone, and the asker takes the Lease. So an operator that is alone makes no writes.

No clocks are compared: each operator measures how long it has seen the Lease unchanged. A venue's
reconciliation ends within `HOLD_S` after the holder read the Lease, which is less than
`PATIENCE_S`. The holder checks its clock again before each write, so that a process that was frozen
does not continue where it stood.
"""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, NamedTuple

from lightkube import ApiError, AsyncClient
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta, OwnerReference
from lightkube.resources.coordination_v1 import Lease

from openvenue_operator import metrics
from openvenue_operator.cluster import GROUP, VERSION
from openvenue_operator.observe import VenueObject

HOLD_S = 15.0
PATIENCE_S = 20.0
ASK_INTERVAL_S = 60.0
ASKED_BY = f"{GROUP}/asked-by"
SOMEBODY_FASTER = "another operator"
"""Holder of a Lease that was taken while we tried: the next reconciliation reads its name."""


class Claim(NamedTuple):
    """Content of a Lease."""

    holder: str
    """Empty: no holder."""
    asked_by: str | None


class Move(Enum):
    """Next action on a Lease."""

    HOLD = auto()
    """It is ours, and no operator asks."""
    ANSWER = auto()
    """It is ours, and another operator asks: renew it."""
    TAKE = auto()
    ASK = auto()
    WAIT = auto()


def next_move(claim: Claim | None, me: str, *, unchanged_s: float, asked_s: float) -> Move:
    """Decide, `unchanged_s` after the Lease was first seen in this state, `asked_s` after we
    asked."""
    if claim is None or not claim.holder:
        return Move.TAKE
    if claim.holder == me:
        return Move.HOLD if claim.asked_by is None else Move.ANSWER
    if claim.asked_by is not None:
        return Move.TAKE if unchanged_s >= PATIENCE_S else Move.WAIT
    return Move.ASK if asked_s >= ASK_INTERVAL_S else Move.WAIT


class VenueLease:
    """One operator's part in the Lease of one Venue."""

    def __init__(
        self,
        client: AsyncClient,
        identity: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._identity = identity
        self._clock = clock
        self._version: str | None = None
        self._seen_at = -math.inf
        self._asked_at = -math.inf
        self._checked_at = -math.inf

    @property
    def is_held(self) -> bool:
        """True if no other operator can have taken the Lease since `holder` said that it is
        ours."""
        return self._clock() - self._checked_at < HOLD_S

    async def holder(self, venue: VenueObject) -> str:
        """Return the operator that tunes the Venue, after trying to become it."""
        name = lease_name(venue.name)
        self._checked_at = self._clock()
        try:
            lease: Any = await self._client.get(Lease, name, namespace=venue.namespace)
        except ApiError as error:
            if error.status.code != 404:
                raise
            return await self._make(Move.TAKE, None, venue)
        now = self._clock()
        if self._version != lease.metadata.resourceVersion:
            self._version, self._seen_at = lease.metadata.resourceVersion, now
        move = next_move(
            _claim(lease),
            self._identity,
            unchanged_s=now - self._seen_at,
            asked_s=now - self._asked_at,
        )
        return await self._make(move, lease, venue)

    async def release(self, namespace: str, venue: str) -> None:
        """Release the Lease at once, if it is ours."""
        try:
            lease: Any = await self._client.get(Lease, lease_name(venue), namespace=namespace)
            if _claim(lease).holder == self._identity:
                lease.spec.holderIdentity = ""
                _unask(lease)
                await self._client.replace(lease)
                metrics.WRITES.labels("lease").inc()
        except ApiError as error:
            if error.status.code not in (404, 409):
                raise

    async def _make(self, move: Move, lease: Any, venue: VenueObject) -> str:
        """Make a move; return the holder of the Lease afterwards."""
        if move is Move.HOLD:
            return self._identity
        if move is Move.WAIT:
            return _claim(lease).holder
        try:
            if lease is None:
                # A PUT also creates a missing Lease, and RBAC can allow it for this name alone.
                await self._client.replace(_new_lease(venue, self._identity))
            else:
                _change(lease, self._identity, move)
                # Refused if the Lease has changed since it was read.
                written: Any = await self._client.replace(lease)
                self._version, self._seen_at = written.metadata.resourceVersion, self._clock()
        except ApiError as error:
            # 422: the Lease was created meanwhile, so the PUT needs its version.
            if error.status.code not in (409, 422) or (error.status.code == 422 and lease):
                raise
            return SOMEBODY_FASTER
        metrics.WRITES.labels("lease").inc()
        if move is Move.ASK:
            self._asked_at = self._clock()
        return _claim(lease).holder if move is Move.ASK else self._identity


def lease_name(venue: str) -> str:
    """Return the name of a Venue's Lease."""
    return f"openvenue-operator.{venue}"


def _claim(lease: Any) -> Claim:
    spec = lease.spec
    return Claim(
        holder=(spec.holderIdentity if spec else None) or "",
        asked_by=(lease.metadata.annotations or {}).get(ASKED_BY),
    )


def _change(lease: Any, identity: str, move: Move) -> None:
    if move is Move.ASK:
        lease.metadata.annotations = {**(lease.metadata.annotations or {}), ASKED_BY: identity}
        return
    _unask(lease)
    lease.spec = lease.spec or LeaseSpec()
    lease.spec.renewTime = _now()
    if move is Move.TAKE:
        lease.spec.holderIdentity = identity
        lease.spec.leaseDurationSeconds = int(PATIENCE_S)
        lease.spec.acquireTime = lease.spec.renewTime
        lease.spec.leaseTransitions = (lease.spec.leaseTransitions or 0) + 1


def _unask(lease: Any) -> None:
    annotations = dict(lease.metadata.annotations or {})
    annotations.pop(ASKED_BY, None)
    lease.metadata.annotations = annotations


def _new_lease(venue: VenueObject, identity: str) -> Lease:
    now = _now()
    return Lease(
        metadata=ObjectMeta(
            name=lease_name(venue.name),
            namespace=venue.namespace,
            ownerReferences=[
                OwnerReference(
                    apiVersion=f"{GROUP}/{VERSION}", kind="Venue", name=venue.name, uid=venue.uid
                )
            ],
        ),
        spec=LeaseSpec(
            holderIdentity=identity,
            leaseDurationSeconds=int(PATIENCE_S),
            acquireTime=now,
            renewTime=now,
            leaseTransitions=0,
        ),
    )


def _now() -> datetime:
    """Return the time, never with a fraction of zero: the API server wants all six digits."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond or 1)
