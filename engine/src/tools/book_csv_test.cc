#include "tools/book_csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace openvenue::tools {
namespace {

using testing::HasSubstr;

class BookCsvTest : public testing::Test {
 protected:
  BookCsvTest() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = std::filesystem::temp_directory_path() /
                 ("openvenue_csv_" + std::to_string(getpid()) + "_" + test->name());
    std::filesystem::create_directories(directory_);
  }
  ~BookCsvTest() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path file(const std::string& name, const std::string& content) {
    auto path = directory_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  std::string error_of(const std::string& line) {
    const auto path = file("m.csv", std::string(kMessageHeader) + "\n0,cancel,,,,1,\n" + line);
    try {
      (void)read_messages(path);
    } catch (const CsvError& error) {
      return error.what();
    }
    return "";
  }

  std::filesystem::path directory_;
};

TEST_F(BookCsvTest, ReadsEveryKindOfMessage) {
  const auto messages = read_messages(file("m.csv", std::string(kMessageHeader) +
                                                        "\n4,new,sell,1,27,9,33483\n"
                                                        "5,modify,buy,,28,9,33484\r\n"
                                                        "6,cancel,,,,18446744073709551615,"));
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[0].side, core::Side::kSell);
  EXPECT_TRUE(messages[0].immediate_or_cancel);
  EXPECT_EQ(messages[0].qty_lots, 27);
  EXPECT_EQ(messages[1].kind, MessageKind::kModify);
  EXPECT_EQ(messages[1].price_ticks, 33484);
  EXPECT_EQ(messages[2].kind, MessageKind::kCancel);
  EXPECT_EQ(messages[2].order_id, ~std::uint64_t{0});
}

TEST_F(BookCsvTest, PassesOverAByteOrderMarkAndEmptyLines) {
  const auto messages = read_messages(
      file("m.csv", "\xEF\xBB\xBF" + std::string(kMessageHeader) + "\r\n0,cancel,,,,1,\r\n\r\n\n"));
  EXPECT_EQ(messages.size(), 1U);
}

TEST_F(BookCsvTest, NamesTheLineOfAWrongField) {
  EXPECT_THAT(error_of("1,new,buy,0,ten,1,5"), HasSubstr("m.csv:3: quantity"));
  EXPECT_THAT(error_of("1,new,buy,0,0,1,5"), HasSubstr("m.csv:3: quantity must be between 1"));
  EXPECT_THAT(error_of("1,new,up,0,1,1,5"), HasSubstr("m.csv:3: side"));
  EXPECT_THAT(error_of("1,amend,buy,0,1,1,5"), HasSubstr("m.csv:3: type"));
  EXPECT_THAT(error_of("1,new,buy,2,1,1,5"), HasSubstr("m.csv:3: ioc"));
  EXPECT_THAT(error_of("1,new,buy,0,1,1"), HasSubstr("m.csv:3: has 6 fields"));
  EXPECT_THAT(error_of("1,new,buy,0,1,18446744073709551616,5"), HasSubstr("m.csv:3: order_id"));
}

TEST_F(BookCsvTest, RefusesAFileWithoutTheHeader) {
  EXPECT_THROW((void)read_messages(file("m.csv", "0,cancel,,,,1,\n")), CsvError);
}

TEST_F(BookCsvTest, NamesAFileThatIsNotThere) {
  EXPECT_THROW((void)read_messages(directory_ / "absent.csv"), CsvError);
}

TEST_F(BookCsvTest, WritesReportsWithEmptyFieldsLeftEmpty) {
  using core::Side;
  const BookReport trade{3, 2, 1, 100, 5, ReportKind::kTrade, Side::kBuy};
  const BookReport ack{3, 2, 0, 101, 9, ReportKind::kAck, Side::kBuy};
  const BookReport canceled{4, 2, 0, 101, 0, ReportKind::kCanceled, Side::kBuy};
  const BookReport rejected{5, 2, 0, 0, 0, ReportKind::kCancelRejected, Side::kBuy};
  EXPECT_EQ(report_line(ack), "ack,3,buy,2,101,9,,");
  EXPECT_EQ(report_line(trade), "trade,3,,,100,5,1,2");
  EXPECT_EQ(report_line(canceled), "canceled,4,buy,2,101,,,");
  EXPECT_EQ(report_line(rejected), "cancel_rejected,5,,2,,,,");
}

TEST_F(BookCsvTest, WritesPlainOrCompressedByTheNameOfTheFile) {
  const std::vector<BookReport> reports(3, BookReport{1, 2, 0, 3, 4, ReportKind::kAck});
  write_reports(directory_ / "r.csv", reports);
  write_reports(directory_ / "r.csv.gz", reports);
  std::ifstream compressed(directory_ / "r.csv.gz", std::ios::binary);
  EXPECT_EQ(compressed.get(), 0x1f);
  EXPECT_EQ(read_text(directory_ / "r.csv.gz"), read_text(directory_ / "r.csv"));
  EXPECT_THAT(read_text(directory_ / "r.csv"), HasSubstr("\nack,1,buy,2,3,4,,\n"));
}

TEST_F(BookCsvTest, RefusesACompressedFileThatEndsTooEarly) {
  const auto whole = directory_ / "r.csv.gz";
  write_reports(whole, std::vector<BookReport>(1000, BookReport{1, 2, 0, 3, 4}));
  std::filesystem::resize_file(whole, std::filesystem::file_size(whole) / 2);
  EXPECT_THROW((void)read_text(whole), CsvError);
}

}  // namespace
}  // namespace openvenue::tools
