#include "core/state/instrument_store.h"

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

}  // namespace openvenue::core
