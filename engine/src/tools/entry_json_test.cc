#include "tools/entry_json.h"

#include <gtest/gtest.h>

namespace openvenue::tools {
namespace {

std::string json(const core::Command& command, const core::EventBuffer& events) {
  std::string out;
  append_entry_json(command, events, out);
  return out;
}

TEST(EntryJson, AnEntryIsOneObjectWithEnumeratorsByName) {
  const core::Command command{9, 1'000, core::CancelOrder{7, 8}, core::Actor("desk")};
  const core::EventBuffer events{core::OrderCanceled{8, 7, core::Reason::kUserCanceled, 5}};
  EXPECT_EQ(json(command, events),
            R"({"sequence":9,"timestamp_ns":1000,"actor":"desk",)"
            R"("command":{"kind":"cancel_order","account_id":7,"order_id":8},)"
            R"("events":[{"kind":"order_canceled","order_id":8,"account_id":7,)"
            R"("reason":"user_canceled","canceled_lots":5}]})");
}

TEST(EntryJson, ATradesSidesAreObjectsOfTheirOwn) {
  core::Trade trade;
  trade.maker.order_id = 3;
  trade.taker.order_id = 4;
  const std::string out = json({4, 0, core::EndTradingDay{}, {}}, {trade});
  EXPECT_NE(out.find(R"("maker":{"order_id":3,)"), std::string::npos) << out;
  EXPECT_NE(out.find(R"("taker":{"order_id":4,)"), std::string::npos) << out;
}

TEST(EntryJson, TextIsEscaped) {
  std::string out;
  append_json_string("a\"b\\c\n\x01 \xC3\xA9", out);
  EXPECT_EQ(out, "\"a\\\"b\\\\c\\u000a\\u0001 \xC3\xA9\"");
}

}  // namespace
}  // namespace openvenue::tools
