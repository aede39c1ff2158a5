#include "runtime/trading_day.h"

#include <gtest/gtest.h>

namespace openvenue::runtime {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr core::TimestampNs at(std::chrono::nanoseconds since_epoch) { return since_epoch.count(); }

TEST(TradingDay, EndsLaterTheSameDayBeforeItsTimeOfDay) {
  const TradingDay day(hours(20));
  EXPECT_EQ(day.next_end_after(at(hours(24) + hours(19))), at(hours(24) + hours(20)));
}

TEST(TradingDay, EndsTheNextDayFromItsTimeOfDayOn) {
  const TradingDay day(hours(20));
  EXPECT_EQ(day.next_end_after(at(hours(20))), at(hours(44)));
  EXPECT_EQ(day.next_end_after(at(hours(23))), at(hours(44)));
}

TEST(TradingDay, EndsAtTheNextMidnightWhenItsTimeIsMidnight) {
  const TradingDay day(minutes(0));
  EXPECT_EQ(day.next_end_after(at(hours(48))), at(hours(72)));
  EXPECT_EQ(day.next_end_after(at(hours(48)) - 1), at(hours(48)));
}

TEST(TradingDay, IsReadFromHoursAndMinutes) {
  const auto day = TradingDay::parse("21:05");
  ASSERT_TRUE(day.has_value());
  EXPECT_EQ(day->next_end_after(0), at(hours(21) + minutes(5)));
}

TEST(TradingDay, IsNotReadFromAnythingElse) {
  for (const char* text : {"", "24:00", "12:60", "1:00", "12-00", "ab:cd", "12:000", " 9:00"}) {
    EXPECT_FALSE(TradingDay::parse(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace openvenue::runtime
