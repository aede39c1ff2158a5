#include "rpc/admin_tokens.h"

#include <gtest/gtest.h>

#include <fstream>

#include "runtime/test_engine.h"

namespace openvenue::rpc {
namespace {

class AdminTokensTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& content) {
    std::ofstream(directory_.path() / name) << content;
  }

  const runtime::testing::TemporaryDirectory directory_;
  AdminTokens tokens_{directory_.path()};
};

TEST_F(AdminTokensTest, NamesTheFileThatHoldsTheToken) {
  write("alice", "aaaaaaaaaaaaaaaaaaaa");
  write("bob", "bbbbbbbbbbbbbbbbbbbb\n");
  EXPECT_EQ(tokens_.name_of("aaaaaaaaaaaaaaaaaaaa"), "alice");
  EXPECT_EQ(tokens_.name_of("bbbbbbbbbbbbbbbbbbbb"), "bob");
  EXPECT_EQ(tokens_.name_of("cccccccccccccccccccc"), std::nullopt);
  EXPECT_EQ(tokens_.name_of("aaaaaaaaaaaaaaaaaaa"), std::nullopt);
  EXPECT_EQ(tokens_.name_of(""), std::nullopt);
}

TEST_F(AdminTokensTest, PassesOverWhatCannotBeAToken) {
  write("empty", "");
  write("blank", " \n\n");
  write("short", "fifteen letters");
  write(".hidden", "hidden-hidden-hidden");
  write("with space", "spaces-spaces-spaces");
  write(std::string(65, 'n'), "longname-longname-longname");
  std::filesystem::create_directory(directory_.path() / "directory");
  for (const char* token : {"", " ", "fifteen letters", "hidden-hidden-hidden",
                            "spaces-spaces-spaces", "longname-longname-longname"}) {
    EXPECT_EQ(tokens_.name_of(token), std::nullopt) << token;
  }
}

// ..data is a link to the directory of this version, and each key a link through it.
TEST_F(AdminTokensTest, ReadsAMountedSecret) {
  std::filesystem::create_directory(directory_.path() / "..2026_12_01");
  write("..2026_12_01/admin", "aaaaaaaaaaaaaaaaaaaa");
  std::filesystem::create_directory_symlink("..2026_12_01", directory_.path() / "..data");
  std::filesystem::create_symlink("..data/admin", directory_.path() / "admin");
  EXPECT_EQ(tokens_.name_of("aaaaaaaaaaaaaaaaaaaa"), "admin");
}

TEST_F(AdminTokensTest, OpensToNobodyWhereTheDirectoryIsMissing) {
  AdminTokens missing(directory_.path() / "missing");
  EXPECT_EQ(missing.name_of("aaaaaaaaaaaaaaaaaaaa"), std::nullopt);
}

}  // namespace
}  // namespace openvenue::rpc
