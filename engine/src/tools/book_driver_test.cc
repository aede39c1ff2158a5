// Both books must give the reports that independent matching engines agree on, line for line.
#include "tools/book_driver.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "core/book/fast_book.h"
#include "core/testing/naive_book.h"
#include "tools/book_csv.h"

namespace openvenue::tools {
namespace {

constexpr core::PriceTicks kMaxPrice = 1 << 20;
constexpr std::uint32_t kMaxOrders = 1 << 15;

std::filesystem::path conformance_directory() {
  const char* configured = std::getenv("OPENVENUE_TEST_DATA");
  return std::filesystem::path(configured == nullptr ? "../shared/data" : configured) /
         "conformance";
}

template <class Book>
std::vector<std::string> lines_of(const std::vector<BookMessage>& messages) {
  BookDriver<Book> driver(1, kMaxPrice, kMaxOrders);
  std::vector<BookReport> reports;
  for (const BookMessage& message : messages) driver.apply(message, reports);
  std::vector<std::string> lines;
  lines.reserve(reports.size());
  for (const BookReport& report : reports) lines.push_back(report_line(report));
  return lines;
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

using Fields = google::protobuf::Map<std::string, google::protobuf::Value>;

std::string text_of(const Fields& fields, const std::string& key) {
  const auto field = fields.find(key);
  if (field == fields.end()) return "";
  if (field->second.has_string_value()) return field->second.string_value();
  return std::to_string(static_cast<std::int64_t>(field->second.number_value()));
}

std::int64_t number_of(const Fields& fields, const std::string& key) {
  const std::string text = text_of(fields, key);
  return text.empty() ? 0 : std::stoll(text);
}

BookMessage message_of(const Fields& fields) {
  BookMessage message;
  message.sequence = static_cast<std::uint64_t>(number_of(fields, "seq"));
  message.order_id = static_cast<std::uint64_t>(number_of(fields, "order_id"));
  message.price_ticks = number_of(fields, "price");
  message.qty_lots = number_of(fields, "quantity");
  message.side = text_of(fields, "side") == "sell" ? core::Side::kSell : core::Side::kBuy;
  const std::string type = text_of(fields, "type");
  message.kind = type == "new"      ? MessageKind::kNew
                 : type == "cancel" ? MessageKind::kCancel
                                    : MessageKind::kModify;
  const auto ioc = fields.find("ioc");
  message.immediate_or_cancel = ioc != fields.end() && ioc->second.bool_value();
  return message;
}

std::string expected_line(const Fields& fields) {
  std::string line;
  for (const char* column : {"report", "seq", "side", "order_id", "price", "quantity",
                             "maker_order_id", "taker_order_id"}) {
    if (!line.empty()) line += ',';
    line += text_of(fields, column);
  }
  return line;
}

template <class Book>
class ConformanceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(conformance_directory())) {
      GTEST_SKIP() << "no conformance data in " << conformance_directory()
                   << "; set OPENVENUE_TEST_DATA to the directory that holds it";
    }
  }

  void expect_published_reports(const std::string& flow) {
    const auto messages = read_messages(conformance_directory() / (flow + ".messages.csv.gz"));
    auto expected = split_lines(read_text(conformance_directory() / (flow + ".reports.csv.gz")));
    expected.erase(expected.begin());  // the header
    const auto lines = lines_of<Book>(messages);
    ASSERT_EQ(lines.size(), expected.size());
    for (std::size_t i = 0; i < lines.size(); ++i) ASSERT_EQ(lines[i], expected[i]) << "line " << i;
  }
};

using Books = testing::Types<core::FastBook, core::NaiveBook>;
TYPED_TEST_SUITE(ConformanceTest, Books);

TYPED_TEST(ConformanceTest, ReproducesTheNormalFlow) { this->expect_published_reports("normal"); }
TYPED_TEST(ConformanceTest, ReproducesTheStaticFlow) { this->expect_published_reports("static"); }
TYPED_TEST(ConformanceTest, ReproducesTheSwingFlow) { this->expect_published_reports("swing-25"); }

TYPED_TEST(ConformanceTest, ReproducesEveryEdgeCase) {
  google::protobuf::Struct cases;
  const std::string text = read_text(conformance_directory() / "edge_cases.json");
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(text, &cases).ok());
  ASSERT_FALSE(cases.fields().empty());
  for (const auto& [name, value] : cases.fields()) {
    const Fields& fields = value.struct_value().fields();
    std::vector<BookMessage> messages;
    for (const auto& message : fields.at("messages").list_value().values()) {
      messages.push_back(message_of(message.struct_value().fields()));
    }
    std::vector<std::string> expected;
    for (const auto& report : fields.at("expected_reports").list_value().values()) {
      expected.push_back(expected_line(report.struct_value().fields()));
    }
    EXPECT_EQ(lines_of<TypeParam>(messages), expected) << name;
  }
}

BookMessage new_order(std::uint64_t sequence, std::uint64_t order_id, core::Side side,
                      core::PriceTicks price, core::QtyLots qty) {
  return {sequence, order_id, price, qty, MessageKind::kNew, side, false};
}

TEST(BookDriver, RefusesANewOrderWhoseIdIsStillResting) {
  BookDriver<core::FastBook> driver(1, 10, 4);
  std::vector<BookReport> reports;
  driver.apply(new_order(0, 7, core::Side::kBuy, 5, 1), reports);
  EXPECT_THROW(driver.apply(new_order(1, 7, core::Side::kBuy, 5, 1), reports), FlowError);
}

TEST(BookDriver, LetsAnIdBeUsedAgainAfterItsOrderHasEnded) {
  BookDriver<core::FastBook> driver(1, 10, 4);
  std::vector<BookReport> reports;
  driver.apply(new_order(0, 7, core::Side::kBuy, 5, 1), reports);
  driver.apply(new_order(1, 8, core::Side::kSell, 5, 1), reports);
  driver.apply(new_order(2, 7, core::Side::kSell, 6, 1), reports);
  EXPECT_EQ(reports.back().kind, ReportKind::kAck);
}

TEST(BookDriver, TakesAnySixtyFourBitOrderId) {
  BookDriver<core::FastBook> driver(1, 10, 4);
  std::vector<BookReport> reports;
  for (const std::uint64_t id : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    driver.apply(new_order(0, id, core::Side::kBuy, 5, 1), reports);
    driver.apply({1, id, 0, 0, MessageKind::kCancel, core::Side::kBuy, false}, reports);
    EXPECT_EQ(reports.back().kind, ReportKind::kCanceled);
  }
}

}  // namespace
}  // namespace openvenue::tools
