#include "tools/bench_book.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/book/fast_book.h"
#include "core/schema/command.h"
#include "core/testing/naive_book.h"
#include "exit_codes.h"
#include "tools/book_csv.h"
#include "tools/book_driver.h"
#include "tools/book_growth.h"

namespace openvenue::tools {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string messages;
  std::string reports;
  std::string book = "fast";
  bool json = false;
  bool growth = false;
  unsigned repeat = 1;
};

struct Measurement {
  std::size_t messages = 0;
  std::size_t reports = 0;
  double read_seconds = 0;
  double write_seconds = 0;
  std::vector<double> match_seconds;  // one a run, sorted

  [[nodiscard]] double median_seconds() const { return match_seconds[match_seconds.size() / 2]; }
  [[nodiscard]] double messages_per_second() const {
    return static_cast<double>(messages) / std::max(median_seconds(), 1e-9);
  }
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Size {
  core::PriceTicks min_price = 1;
  core::PriceTicks max_price = 1;
  std::uint32_t max_orders = 1;
};

// A book large enough for the whole flow.
Size size_for(const std::vector<BookMessage>& messages, const std::string& path) {
  std::optional<Size> size;
  std::size_t new_orders = 0;
  for (const BookMessage& message : messages) {
    if (message.kind == MessageKind::kCancel) continue;
    if (message.kind == MessageKind::kNew) ++new_orders;
    if (!size) size = Size{message.price_ticks, message.price_ticks, 1};
    size->min_price = std::min(size->min_price, message.price_ticks);
    size->max_price = std::max(size->max_price, message.price_ticks);
  }
  if (!size) return {};
  if (new_orders > core::kOrdersMax) {
    throw FlowError(path + ": " + std::to_string(new_orders) + " new orders are more than the " +
                    std::to_string(core::kOrdersMax) + " that a book can hold; split the file");
  }
  size->max_orders = static_cast<std::uint32_t>(std::max<std::size_t>(new_orders, 1));
  return *size;
}

// Replaces prices by ranks if a flow's prices span more ticks than a book can hold, such as orders
// at any price: matching only compares prices, so their order suffices.
class PriceRanks {
 public:
  explicit PriceRanks(std::vector<BookMessage>& messages) {
    for (const BookMessage& message : messages) prices_.push_back(message.price_ticks);
    std::sort(prices_.begin(), prices_.end());
    prices_.erase(std::unique(prices_.begin(), prices_.end()), prices_.end());
    for (BookMessage& message : messages) {
      message.price_ticks =
          std::lower_bound(prices_.begin(), prices_.end(), message.price_ticks) - prices_.begin();
    }
  }

  void put_back(std::vector<BookReport>& reports) const {
    for (BookReport& report : reports) {
      report.price_ticks = prices_[static_cast<std::size_t>(report.price_ticks)];
    }
  }

 private:
  std::vector<core::PriceTicks> prices_;
};

// Matches the whole flow once. Only the loop is timed; the memory of book and reports is allocated
// before, as in the venue.
template <class Book>
double match(const std::vector<BookMessage>& messages, const Size& size,
             std::vector<BookReport>& reports) {
  BookDriver<Book> driver(size.min_price, size.max_price, size.max_orders);
  reports.resize(messages.size() * 2);
  reports.clear();
  const auto start = Clock::now();
  for (const BookMessage& message : messages) driver.apply(message, reports);
  return seconds_since(start);
}

Measurement measure(const Options& options) {
  Measurement result;
  const auto read_start = Clock::now();
  std::vector<BookMessage> messages = read_messages(options.messages);
  result.read_seconds = seconds_since(read_start);
  result.messages = messages.size();

  Size size = size_for(messages, options.messages);
  std::optional<PriceRanks> ranks;
  if (size.max_price - size.min_price >= core::kPriceRangeTicksMax) {
    ranks.emplace(messages);
    size = size_for(messages, options.messages);
  }
  std::vector<BookReport> reports;
  for (unsigned run = 0; run < options.repeat; ++run) {
    result.match_seconds.push_back(options.book == "fast"
                                       ? match<core::FastBook>(messages, size, reports)
                                       : match<core::NaiveBook>(messages, size, reports));
  }
  std::sort(result.match_seconds.begin(), result.match_seconds.end());
  result.reports = reports.size();
  if (ranks) ranks->put_back(reports);

  const auto write_start = Clock::now();
  if (!options.reports.empty()) write_reports(options.reports, reports);
  result.write_seconds = seconds_since(write_start);
  return result;
}

void print(const Measurement& result, const Options& options) {
  const char* format =
      options.json
          ? "{\"book\": \"%s\", \"messages\": %zu, \"reports\": %zu, \"runs\": %zu, "
            "\"seconds\": %.9f, \"messages_per_second\": %.0f, \"read_seconds\": %.6f, "
            "\"write_seconds\": %.6f}\n"
          : "book %s: %zu messages, %zu reports, median of %zu runs %.6f s, %.0f messages/s "
            "(reading took %.3f s, writing %.3f s)\n";
  std::printf(format, options.book.c_str(), result.messages, result.reports,
              result.match_seconds.size(), result.median_seconds(), result.messages_per_second(),
              result.read_seconds, result.write_seconds);
}

void print(const std::vector<GrowthPoint>& points, const Options& options) {
  if (options.json) std::printf("[");
  for (const GrowthPoint& point : points) {
    const char* separator = &point == points.data() ? "" : ",\n ";
    if (options.json) {
      std::printf(
          "%s{\"book\": \"%s\", \"resting_orders\": %u, \"messages\": %zu, "
          "\"ns_per_message\": %.1f}",
          separator, point.book.c_str(), point.resting_orders, point.messages,
          point.ns_per_message);
    } else {
      std::printf("%-5s %9u resting orders: %8.1f ns a message\n", point.book.c_str(),
                  point.resting_orders, point.ns_per_message);
    }
  }
  if (options.json) std::printf("]\n");
}

void run(const Options& options) {
  constexpr std::uint32_t kGrowthOrdersMax = 1'000'000;
  if (options.growth) return print(measure_growth(kGrowthOrdersMax), options);
  if (options.messages.empty()) {
    throw FlowError("name a message file with --messages, or measure growth with --growth");
  }
  print(measure(options), options);
}

}  // namespace

void add_bench_book_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("bench-book", "Drive one instrument's book with a file and time it");
  command->add_option("--messages", options->messages, "Order flow as CSV, plain or gzip");
  command->add_option("--reports", options->reports,
                      "Where to write the reports (gzip if the name ends in .gz)");
  command->add_option("--book", options->book, "Which book to drive")
      ->check(CLI::IsMember({"fast", "naive"}))
      ->capture_default_str();
  command->add_option("--repeat", options->repeat, "Runs; the median is printed")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--growth", options->growth,
                    "Measure both books with 10^3 to 10^6 resting orders instead");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &exit_code] {
    try {
      run(*options);
      exit_code = kExitOk;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "bench-book: %s\n", error.what());
      exit_code = kExitFailed;
    }
  });
}

}  // namespace openvenue::tools
