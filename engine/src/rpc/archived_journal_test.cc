// Readers of a journal whose oldest segments are no longer in its directory.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <optional>

#include "journal/segment.h"
#include "rpc/test_server.h"
#include "rpc/wire.h"

namespace openvenue::rpc {
namespace {

using testing::kPatience;
using testing::new_order;
using testing::test_server_settings;
using testing::TestServer;
using testing::TestSession;

void set_deadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
}

// Reads `count` entries from `from` on, which follow one another, and returns how many came.
std::uint64_t follow(const std::shared_ptr<grpc::Channel>& channel, std::uint64_t from,
                     std::uint64_t count) {
  grpc::ClientContext context;
  set_deadline(context);
  v1::StreamJournalRequest request;
  request.set_from_sequence(from);
  const auto stream = v1::MarketData::NewStub(channel)->StreamJournal(&context, request);
  v1::JournalBatch batch;
  std::uint64_t came = 0;
  while (came < count && stream->Read(&batch)) {
    for (const auto& entry : batch.entries()) {
      if (came < count) {
        EXPECT_EQ(entry.sequence(), from + came);
        ++came;
      }
    }
  }
  context.TryCancel();
  while (stream->Read(&batch)) continue;
  (void)stream->Finish();
  return came;
}

// Small segments, of which the oldest can be taken away.
class ArchivedJournalTest : public ::testing::Test {
 protected:
  ArchivedJournalTest() {
    settings_.journal.segment_bytes = journal::kSegmentBytesMin;
    settings_.journal.directory = directory_.path() / "journal";
    server_.emplace(settings_);
    channel_ = server_->connect();
    TestSession session(channel_);
    for (std::uint64_t id = 1; id <= 200; ++id) {
      session.ask(new_order(id, 1, v1::SIDE_BUY, 1, 10, std::to_string(id)));
    }
  }

  [[nodiscard]] std::vector<journal::NamedFile> segments() const {
    return journal::list_segments(settings_.journal.directory, 0);
  }

  grpc::Status acknowledge(const std::string& reader, std::uint64_t sequence) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::AcknowledgeJournalRequest request;
    request.set_reader(reader);
    request.set_sequence(sequence);
    v1::AcknowledgeJournalResponse response;
    return v1::MarketData::NewStub(channel_)->AcknowledgeJournal(&context, request, &response);
  }

  const runtime::testing::TemporaryDirectory directory_;
  runtime::EngineSettings settings_ = runtime::testing::test_settings(directory_.path());
  std::optional<TestServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(ArchivedJournalTest, TellsAReaderThatComesTooLateWhatToDo) {
  ASSERT_GT(segments().size(), 2U);
  const std::uint64_t second = segments()[1].sequence;
  std::filesystem::remove(segments()[0].path);
  grpc::ClientContext context;
  set_deadline(context);
  v1::StreamJournalRequest request;
  request.set_from_sequence(second - 1);
  const auto stream = v1::MarketData::NewStub(channel_)->StreamJournal(&context, request);
  v1::JournalBatch batch;
  EXPECT_FALSE(stream->Read(&batch));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("openvenue journal restore"));
  EXPECT_EQ(follow(channel_, second, 10), 10U);
}

TEST_F(ArchivedJournalTest, StreamsWhatTheArchiveHolds) {
  const std::uint64_t last = server_->engine()->durable().get();
  server_.reset();
  settings_.journal.archive = directory_.path() / "archive";
  std::filesystem::create_directory(settings_.journal.archive);
  for (const auto& segment : {segments()[0], segments()[1]}) {
    std::filesystem::rename(segment.path, settings_.journal.archive / segment.path.filename());
  }
  runtime::Metrics metrics;
  // Its state comes from the archive as well: there is no snapshot.
  runtime::Engine engine(settings_, metrics, [](const std::string&) {});
  Server server(engine, metrics, test_server_settings());
  const auto channel = TestServer::connect_to("127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(follow(channel, 1, last), last);
  server.drain();
  engine.stop();
  server.shut_down();
}

TEST_F(ArchivedJournalTest, TakesAcknowledgementsOfNamedReadersUpToWhatIsDurable) {
  const std::uint64_t durable = server_->engine()->durable().get();
  EXPECT_TRUE(acknowledge("projector", durable).ok());
  EXPECT_TRUE(acknowledge("projector", 0).ok()) << "it begins anew";
  EXPECT_EQ(acknowledge("projector", durable + 1).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(acknowledge("../lock", 1).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(acknowledge("", 1).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace openvenue::rpc
