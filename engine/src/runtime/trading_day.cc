#include "runtime/trading_day.h"

namespace openvenue::runtime {
namespace {

constexpr core::TimestampNs kDayNs = std::chrono::nanoseconds(std::chrono::hours(24)).count();

std::optional<int> two_digits(std::string_view text, int limit) {
  if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9') return std::nullopt;
  const int value = (text[0] - '0') * 10 + (text[1] - '0');
  return value < limit ? std::optional(value) : std::nullopt;
}

}  // namespace

std::optional<TradingDay> TradingDay::parse(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hours = two_digits(text.substr(0, 2), 24);
  const auto minutes = two_digits(text.substr(3, 2), 60);
  if (!hours || !minutes) return std::nullopt;
  return TradingDay(std::chrono::hours(*hours) + std::chrono::minutes(*minutes));
}

core::TimestampNs TradingDay::next_end_after(core::TimestampNs timestamp_ns) const {
  const core::TimestampNs offset_ns = std::chrono::nanoseconds(end_of_day_).count();
  const core::TimestampNs end_today_ns = timestamp_ns - timestamp_ns % kDayNs + offset_ns;
  return end_today_ns > timestamp_ns ? end_today_ns : end_today_ns + kDayNs;
}

}  // namespace openvenue::runtime
