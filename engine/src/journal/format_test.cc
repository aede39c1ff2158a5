// Every existing journal relies on the format: its documented example must stay readable.
#include "journal/format.h"

#include <gtest/gtest.h>

#include <charconv>
#include <sstream>

#include "journal/frame_reader.h"
#include "journal/journal_fixture_test.h"

namespace openvenue::journal {
namespace {

using testing::read_journal;
using testing::TemporaryDirectory;

// The lines of the document's hexdump, "OFFSET: XXXX XXXX …  text", laid out in a segment.
std::string example_segment(std::istream& document) {
  std::string segment(std::size_t{64} << 20, '\0');
  for (std::string line; std::getline(document, line);) {
    if (line.size() < 49 || line[0] != '0' || line.compare(8, 2, ": ") != 0) continue;
    std::size_t offset = 0;
    std::from_chars(line.data(), line.data() + 8, offset, 16);
    std::istringstream words(line.substr(10, 40));
    for (std::string word; words >> word; offset += 2) {
      const unsigned long bytes = std::stoul(word, nullptr, 16);
      segment[offset] = static_cast<char>(bytes >> 8);
      segment[offset + 1] = static_cast<char>(bytes & 0xFF);
    }
  }
  return segment;
}

TEST(Format, TheExampleInTheDocumentationIsReadAsItIsExplained) {
  std::ifstream document("docs/journal.md");
  ASSERT_TRUE(document) << "run the tests from the project's root";
  const TemporaryDirectory directory;
  testing::write_bytes(segment_path(directory.path(), 0, 1), example_segment(document));

  const auto back = read_journal(directory.settings());
  ASSERT_EQ(back.result, Reader::Result::kEnd) << back.error;
  ASSERT_EQ(back.entries.size(), 1U);
  EXPECT_EQ(back.entries[0].command.body,
            core::CommandBody(core::Configure{
                {1'048'576, 16'384, 1'024, 131'072, 16'384, 786'432, 196'608, 32'768, 4'194'304}}));
  EXPECT_EQ(back.entries[0].events, core::EventBuffer{core::Applied{}});

  FrameReader frames(directory.path(), 0, 1);
  while (frames.next(0) == FrameReader::Result::kFrame) continue;
  EXPECT_EQ(frames.last_flags(), kCleanEnd);
  EXPECT_EQ(frames.segment().version, kFormatVersion);
  EXPECT_EQ(frames.epoch(), 1U);
}

TEST(Format, FramesAreWholeMultiplesOfTheirAlignment) {
  EXPECT_EQ(frame_bytes(0), kFrameHeaderBytes);
  EXPECT_EQ(frame_bytes(1), kFrameHeaderBytes + 8);
  EXPECT_EQ(frame_bytes(8), kFrameHeaderBytes + 8);
}

TEST(Format, TheChecksumCoversEveryBitOfHeaderAndPayload) {
  std::vector<std::byte> bytes(kFrameHeaderBytes + 24, std::byte{0x5A});
  const std::uint64_t right = checksum_of(bytes, 1);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const bool in_field = bit / 8 >= offsetof(FrameHeader, checksum) && bit / 8 < 64;
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_EQ(checksum_of(bytes, 1) == right, in_field) << bit;
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
  }
}

TEST(Format, AFrameOfAnotherSegmentHasAnotherSalt) {
  const std::vector<std::byte> bytes(kFrameHeaderBytes);
  EXPECT_NE(checksum_of(bytes, 1), checksum_of(bytes, 2));
}

}  // namespace
}  // namespace openvenue::journal
