#include "core/state/instrument_store.h"

#include <algorithm>

#include "core/base/wide_integer.h"

namespace openvenue::core {
namespace {

bool enumerators_valid(const DefineInstrument& terms) {
  const bool asset_class_known =
      terms.asset_class == AssetClass::kUsEquity || terms.asset_class == AssetClass::kCrypto;
  const bool state_known =
      terms.state == InstrumentState::kActive || terms.state == InstrumentState::kInactive;
  return asset_class_known && state_known;
}

bool ranges_valid(const DefineInstrument& terms) {
  return terms.min_price_ticks >= 1 && terms.max_price_ticks >= terms.min_price_ticks &&
         terms.max_price_ticks <= kPriceTicksMax &&
         terms.max_price_ticks - terms.min_price_ticks < kPriceRangeTicksMax &&
         terms.max_order_qty_lots >= 1 && terms.max_order_qty_lots <= kOrderQtyLotsMax;
}

}  // namespace

std::optional<CashMicros> tick_value_micros(const DefineInstrument& terms) {
  constexpr WideInteger kNanosSquaredPerMicro = 1'000'000'000'000;
  if (terms.instrument == 0 || terms.symbol.empty()) return std::nullopt;
  if (!enumerators_valid(terms) || !ranges_valid(terms)) return std::nullopt;
  if (terms.tick_size_nanos <= 0 || terms.lot_size_nanos <= 0) return std::nullopt;
  const WideInteger product = WideInteger{terms.tick_size_nanos} * terms.lot_size_nanos;
  const WideInteger micros = product / kNanosSquaredPerMicro;
  if (product % kNanosSquaredPerMicro != 0 || micros > kTickValueMicrosMax) return std::nullopt;
  return static_cast<CashMicros>(micros);
}

void InstrumentStore::make_due(Slot instrument, PriceTicks low_ticks, PriceTicks high_ticks) {
  Instrument& record = records_[instrument].instrument;
  const bool is_first = record.reached_high_ticks == 0;
  if (is_first) reached_.push_back(instrument);
  record.reached_low_ticks = is_first ? low_ticks : std::min(record.reached_low_ticks, low_ticks);
  record.reached_high_ticks = std::max(record.reached_high_ticks, high_ticks);
}

void InstrumentStore::settle_due(Slot instrument) {
  InstrumentRecord& record = records_[instrument];
  Instrument& reached = record.instrument;
  if (reached.reached_high_ticks == 0) return;
  const Slot due =
      record.stops.first_reached(reached.reached_low_ticks, reached.reached_high_ticks);
  if (due != kNoSlot) return;
  reached.reached_low_ticks = reached.reached_high_ticks = 0;
  std::erase(reached_, instrument);
}

// By id, because a restart changes the slots.
Slot InstrumentStore::next_due() const {
  if (reached_.empty()) return kNoSlot;
  const auto id = [&](Slot slot) { return records_[slot].instrument.terms.instrument; };
  const Slot first = *std::ranges::min_element(reached_, {}, id);
  const InstrumentRecord& record = records_[first];
  return record.stops.first_reached(record.instrument.reached_low_ticks,
                                    record.instrument.reached_high_ticks);
}

}  // namespace openvenue::core
