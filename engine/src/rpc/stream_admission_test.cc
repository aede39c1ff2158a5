#include "rpc/stream_admission.h"

#include <gtest/gtest.h>

#include <vector>

namespace openvenue::rpc {
namespace {

constexpr std::uint32_t kThreads = 32;
constexpr auto kSession = StreamKind::kSession;
constexpr auto kSubscriber = StreamKind::kSubscriber;

// The slots that are admitted if a peer asks for any number.
std::vector<StreamAdmission::Slot> admit_all(StreamAdmission& admission, StreamKind kind,
                                             const std::string& peer) {
  std::vector<StreamAdmission::Slot> slots;
  while (auto slot = admission.admit(kind, peer)) slots.push_back(*std::move(slot));
  return slots;
}

TEST(StreamAdmission, GivesNoPeerMoreThanHalfOfAShare) {
  StreamAdmission admission(kThreads, 64);
  const auto greedy = admit_all(admission, kSession, "ipv4:10.0.0.1:1");
  EXPECT_EQ(greedy.size(), 8U);
  EXPECT_FALSE(admission.admit(kSession, "ipv4:10.0.0.1:2")) << "another port is the same peer";
  EXPECT_EQ(admit_all(admission, kSession, "ipv4:10.0.0.2:1").size(), 8U);
}

TEST(StreamAdmission, KeepsAShareForEachKind) {
  StreamAdmission admission(kThreads, 64);
  const auto some = admit_all(admission, kSession, "ipv4:10.0.0.1:1");
  const auto rest = admit_all(admission, kSession, "ipv4:10.0.0.2:1");
  EXPECT_EQ(admission.open(kSession), kThreads / 2);
  EXPECT_FALSE(admission.admit(kSession, "ipv4:10.0.0.3:1"));
  EXPECT_TRUE(admission.admit(kSubscriber, "ipv4:10.0.0.1:1"));
  EXPECT_TRUE(admission.admit(StreamKind::kReflection, "ipv4:10.0.0.1:1"));
}

TEST(StreamAdmission, HasRoomAgainOnceASlotIsGivenBack) {
  StreamAdmission admission(kThreads, 1);
  {
    const auto only = admission.admit(kSubscriber, "ipv4:10.0.0.1:1");
    ASSERT_TRUE(only);
    EXPECT_FALSE(admission.admit(kSubscriber, "ipv4:10.0.0.2:1"));
  }
  EXPECT_EQ(admission.open(kSubscriber), 0U);
  EXPECT_TRUE(admission.admit(kSubscriber, "ipv4:10.0.0.2:1"));
}

TEST(StreamAdmission, LetsStreamsAboveALoweredLimitGoOn) {
  StreamAdmission admission(kThreads, 64);
  auto slots = admit_all(admission, kSession, "ipv4:10.0.0.1:1");
  admission.set_threads_max(16);
  EXPECT_EQ(admission.open(kSession), 8U);
  EXPECT_FALSE(admission.admit(kSession, "ipv4:10.0.0.2:1"));
  slots.clear();
  EXPECT_EQ(admit_all(admission, kSession, "ipv4:10.0.0.1:1").size(), 4U);
}

}  // namespace
}  // namespace openvenue::rpc
