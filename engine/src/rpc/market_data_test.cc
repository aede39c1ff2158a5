// The book and the journal's stream, as clients read them.
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "rpc/test_server.h"
#include "rpc/wire.h"

namespace openvenue::rpc {
namespace {

using testing::new_order;
using testing::ServerTest;
using testing::set_deadline;
using testing::TestSession;

TEST_F(ServerTest, ShowsTheBookBestFirst) {
  TestSession session(channel_);
  session.ask(new_order(1, 1, v1::SIDE_BUY, 5, 99, "b1"));
  session.ask(new_order(2, 1, v1::SIDE_BUY, 5, 98, "b2"));
  session.ask(new_order(3, 1, v1::SIDE_BUY, 2, 99, "b3"));
  session.ask(new_order(4, 2, v1::SIDE_SELL, 1, 101, "a1"));
  const auto stub = v1::MarketData::NewStub(channel_);
  grpc::ClientContext context;
  set_deadline(context);
  v1::GetBookRequest request;
  request.set_instrument_id(1);
  request.set_depth(10);
  v1::BookSnapshot book;
  ASSERT_TRUE(stub->GetBook(&context, request, &book).ok());
  ASSERT_EQ(book.bids_size(), 2);
  EXPECT_EQ(book.bids(0).price_ticks(), 99);
  EXPECT_EQ(book.bids(0).qty_lots(), 7);
  EXPECT_EQ(book.bids(0).orders(), 2U);
  EXPECT_EQ(book.bids(1).price_ticks(), 98);
  ASSERT_EQ(book.asks_size(), 1);
  EXPECT_EQ(book.asks(0).price_ticks(), 101);
}

TEST_F(ServerTest, RefusesABookOfAnUnknownInstrumentOrAnImpossibleDepth) {
  const auto stub = v1::MarketData::NewStub(channel_);
  const auto status_of = [&](std::uint32_t instrument_id, std::uint32_t depth) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::GetBookRequest request;
    request.set_instrument_id(instrument_id);
    request.set_depth(depth);
    v1::BookSnapshot book;
    return stub->GetBook(&context, request, &book).error_code();
  };
  EXPECT_EQ(status_of(77, 1), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status_of(1, 0), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status_of(1, 1001), grpc::StatusCode::INVALID_ARGUMENT);
}

// Reads `count` entries of the journal from `from` on.
std::vector<v1::JournalEntry> follow(const std::shared_ptr<grpc::Channel>& channel,
                                     std::uint64_t from, std::size_t count) {
  const auto stub = v1::MarketData::NewStub(channel);
  grpc::ClientContext context;
  set_deadline(context);
  v1::StreamJournalRequest request;
  request.set_from_sequence(from);
  const auto stream = stub->StreamJournal(&context, request);
  std::vector<v1::JournalEntry> entries;
  v1::JournalBatch batch;
  while (entries.size() < count && stream->Read(&batch)) {
    for (const auto& entry : batch.entries()) {
      EXPECT_LE(entry.sequence(), batch.durable_sequence());
      entries.push_back(entry);
    }
  }
  context.TryCancel();
  while (stream->Read(&batch)) continue;
  (void)stream->Finish();
  return entries;
}

TEST_F(ServerTest, ResumesTheJournalStreamFromAnySequenceWithoutGapOrRepetition) {
  TestSession session(channel_);
  for (std::uint64_t id = 1; id <= 10; ++id) {
    session.ask(new_order(id, 1 + id % 2, id % 2 == 0 ? v1::SIDE_BUY : v1::SIDE_SELL, 2, 100,
                          std::to_string(id)));
  }
  const std::uint64_t last = server_.engine()->durable().get();
  const auto whole = follow(channel_, 0, last);
  ASSERT_EQ(whole.size(), last);
  for (std::uint64_t from = 1; from <= last; ++from) {
    const auto rest = follow(channel_, from, last - from + 1);
    ASSERT_EQ(rest.size(), last - from + 1);
    for (std::size_t index = 0; index < rest.size(); ++index) {
      EXPECT_EQ(rest[index].SerializeAsString(), whole[from - 1 + index].SerializeAsString());
    }
  }
}

TEST_F(ServerTest, StreamsACommandOnceItIsDurableAndNotBefore) {
  const std::uint64_t next = server_.engine()->durable().get() + 1;
  const auto stub = v1::MarketData::NewStub(channel_);
  grpc::ClientContext context;
  set_deadline(context);
  v1::StreamJournalRequest request;
  request.set_from_sequence(next);
  const auto stream = stub->StreamJournal(&context, request);
  auto read = std::async(std::launch::async, [&] {
    v1::JournalBatch batch;
    EXPECT_TRUE(stream->Read(&batch));
    return batch;
  });
  gate_.close();
  TestSession session(channel_);
  ASSERT_TRUE(session.send(new_order(1, 1, v1::SIDE_BUY, 1, 10, "a")));
  gate_.wait_until_held();
  EXPECT_EQ(read.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  gate_.open();
  EXPECT_EQ(read.get().entries(0).sequence(), next);
  context.TryCancel();
}

TEST_F(ServerTest, RefusesAJournalStreamOfAnotherShardOrBeyondTheEnd) {
  const auto stub = v1::MarketData::NewStub(channel_);
  const auto status_of = [&](std::uint32_t shard_id, std::uint64_t from) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::StreamJournalRequest request;
    request.set_shard_id(shard_id);
    request.set_from_sequence(from);
    const auto stream = stub->StreamJournal(&context, request);
    v1::JournalBatch batch;
    while (stream->Read(&batch)) continue;
    return stream->Finish().error_code();
  };
  EXPECT_EQ(status_of(3, 1), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status_of(0, 1'000'000), grpc::StatusCode::OUT_OF_RANGE);
}

}  // namespace
}  // namespace openvenue::rpc
