"""The state of the stream process: what the journal's entries make, on its channels."""

from collections.abc import Iterable, Mapping

from openvenue.documents.views import Views
from openvenue.engine.instruments import Instrument, instrument_of
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.ids import IdSpace, Kind
from openvenue.journal.books import Books, RestingOrder
from openvenue.stream.channels import ALL, Channels
from openvenue.stream.market import Interval, MarketData
from openvenue.stream.messages import Channel, Message, OrderBook
from openvenue.stream.updates import OrderUpdates

TRADE_UPDATES = "trade_updates"


def account_channel(account_id: int) -> Channel:
    """Return the channel of an account's order updates."""
    return Channel(TRADE_UPDATES, TRADE_UPDATES, account_id)


class Feed:
    """Folds entries, from the one after `sequence` on, into messages of `channels`.

    `open_orders` are those that were open after entry `sequence`, `days` the trades of the day up
    to then by instrument, None if they are not known.
    """

    def __init__(
        self,
        shard_id: int,
        views: Views,
        channels: Channels,
        instruments: dict[int, Instrument],
        open_orders: Iterable[pb.Order],
        sequence: int,
        days: Mapping[int, Interval] | None = None,
    ) -> None:
        open_orders = list(open_orders)
        self.sequence = sequence
        self.channels = channels
        self._ids = IdSpace(shard_id, Kind.INSTRUMENT)
        self._instruments = instruments
        self._updates = OrderUpdates(views, instruments, open_orders)
        waiting = {o.order_id for o in open_orders if o.status == pb.ORDER_STATUS_WAITING}
        resting = (_resting(order) for order in open_orders if order.order_id not in waiting)
        books = Books(resting, waiting)
        # Trades before the first entry belong to bars that it cannot make.
        whole_from_ns = None if sequence else 0
        self._market = MarketData(books, instruments, whole_from_ns, channels.has_subscribers, days)
        self._time_ns = 0

    def apply(self, entry: pb.JournalEntry) -> None:
        """Fold the entry that follows. Raises ValueError if it does not follow."""
        if entry.sequence != self.sequence + 1:
            raise ValueError(f"journal entry {entry.sequence} follows {self.sequence}")
        self._publish_bars(entry.timestamp_ns)
        self.sequence, self._time_ns = entry.sequence, entry.timestamp_ns
        self.channels.begin_entry(entry.sequence)
        note_instrument(self._instruments, entry, self._ids)
        for update in self._updates.apply(entry):
            self.channels.publish(account_channel(update.order.account_id), update)
        for channel, document in self._market.apply(entry):
            self.channels.publish(channel, document)

    def close_bars(self, until_ns: int) -> None:
        """Publish bars that ended by a time, if no entry has done it yet."""
        self._publish_bars(until_ns)
        self.channels.flush()

    def books(self, channel: Channel) -> list[Message]:
        """Return the whole books of a channel, each in the place of its last change."""
        return [
            self._book(each)
            for each in self._instruments.values()
            if each.asset_class == channel.group and channel.name in (each.symbol, ALL)
        ]

    def _book(self, instrument: Instrument) -> Message:
        channel = Channel(instrument.asset_class, "orderbooks", instrument.symbol)
        last = self.channels.last(channel)
        document: OrderBook = self._market.snapshot(instrument, self._time_ns)
        document.seq = last.seq if last is not None else 0
        document.prev_seq = last.document.prev_seq if last is not None else 0
        return Message(channel, document)

    def _publish_bars(self, until_ns: int) -> None:
        for channel, document in self._market.close_bars(until_ns):
            self.channels.publish(channel, document)


def note_instrument(
    instruments: dict[int, Instrument], entry: pb.JournalEntry, ids: IdSpace
) -> None:
    """Add the instrument that an entry defined or changed, if it did."""
    if entry.WhichOneof("command") != "define_instrument":
        return
    if any(event.HasField("applied") for event in entry.events):
        instrument = instrument_of(entry.define_instrument, ids)
        instruments[instrument.instrument_id] = instrument


def _resting(order: pb.Order) -> RestingOrder:
    return RestingOrder(
        order.order_id,
        order.instrument_id,
        order.side,
        order.limit_price_ticks,
        order.qty_lots - order.filled_lots,
    )
