// Instruments and their books.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/hash.h"
#include "core/base/slot.h"
#include "core/base/slot_index.h"
#include "core/base/types.h"
#include "core/book/fast_book.h"
#include "core/schema/command.h"
#include "core/schema/records.h"
#include "core/state/stop_book.h"
#include "core/state/trailing_stops.h"

namespace openvenue::core {

// The cash value of one lot at one tick; nothing if no instrument can have these terms.
[[nodiscard]] std::optional<CashMicros> tick_value_micros(const DefineInstrument& terms);

struct InstrumentRecord {
  Instrument instrument;
  FastBook book;
  StopBook stops;
  TrailingStops trailing;
};

class InstrumentStore {
 public:
  InstrumentStore(std::uint32_t max_instruments, std::uint32_t max_orders)
      : pool_(max_orders), trailing_(max_orders), by_id_(max_instruments) {
    records_.reserve(max_instruments);
    reached_.reserve(max_instruments);
  }

  [[nodiscard]] Slot find(InstrumentId instrument) const {
    return by_id_.find(hash_number(instrument), [&](Slot slot) {
      return records_[slot].instrument.terms.instrument == instrument;
    });
  }
  [[nodiscard]] Slot find(const Symbol& symbol) const {
    for (Slot slot = 0; slot < size(); ++slot) {
      if (records_[slot].instrument.terms.symbol == symbol) return slot;
    }
    return kNoSlot;
  }

  // Allocates the instrument's books. Preconditions: the id is not in use, there is room.
  InstrumentRecord& add(const DefineInstrument& terms, CashMicros tick_value) {
    by_id_.insert(hash_number(terms.instrument), size());
    return records_.emplace_back(
        InstrumentRecord{{.terms = terms, .tick_value_micros = tick_value},
                         FastBook(pool_, terms.min_price_ticks, terms.max_price_ticks),
                         StopBook(pool_, terms.min_price_ticks, terms.max_price_ticks),
                         TrailingStops(trailing_)});
  }

  // The waiting orders that a trade at this price reaches are due, if there are any.
  void reach(Slot instrument, PriceTicks price_ticks) {
    if (records_[instrument].stops.first_reached(price_ticks, price_ticks) == kNoSlot) return;
    make_due(instrument, price_ticks, price_ticks);
  }
  // Widens the prices that reached waiting orders. Precondition: they reach one.
  void make_due(Slot instrument, PriceTicks low_ticks, PriceTicks high_ticks);
  // Call it when an order of the instrument waits no more.
  void settle_due(Slot instrument);
  // The order that is due next, see TriggerOrder; kNoSlot: none is.
  [[nodiscard]] Slot next_due() const;

  InstrumentRecord& operator[](Slot slot) { return records_[slot]; }
  const InstrumentRecord& operator[](Slot slot) const { return records_[slot]; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(records_.size()); }

 private:
  FastBook::Pool pool_;
  TrailingStops::Pool trailing_;
  std::vector<InstrumentRecord> records_;
  SlotIndex by_id_;
  std::vector<Slot> reached_;  // instruments with orders that are due: rarely more than one
};

}  // namespace openvenue::core
