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

namespace openvenue::core {

// The cash value of one lot at one tick; nothing if no instrument can have these terms.
[[nodiscard]] std::optional<CashMicros> tick_value_micros(const DefineInstrument& terms);

struct InstrumentRecord {
  Instrument instrument;
  FastBook book;
};

class InstrumentStore {
 public:
  InstrumentStore(std::uint32_t max_instruments, std::uint32_t max_orders)
      : pool_(max_orders), by_id_(max_instruments) {
    records_.reserve(max_instruments);
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

  // Allocates the instrument's book. Preconditions: the id is not in use, there is room.
  InstrumentRecord& add(const DefineInstrument& terms, CashMicros tick_value) {
    by_id_.insert(hash_number(terms.instrument), size());
    return records_.emplace_back(InstrumentRecord{
        {terms, 0, tick_value, 0}, FastBook(pool_, terms.min_price_ticks, terms.max_price_ticks)});
  }

  InstrumentRecord& operator[](Slot slot) { return records_[slot]; }
  const InstrumentRecord& operator[](Slot slot) const { return records_[slot]; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(records_.size()); }

 private:
  FastBook::Pool pool_;
  std::vector<InstrumentRecord> records_;
  SlotIndex by_id_;
};

}  // namespace openvenue::core
