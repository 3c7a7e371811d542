#include "collector/status/publisher.h"

#include "common/io/file.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/stat.h>

namespace tocsin::collector::status {
namespace {

namespace fs = std::filesystem;

class PublisherTest : public testing::Test {
 protected:
  std::string read(const std::string& name) const {
    std::ifstream file{out + "/" + name};
    return {std::istreambuf_iterator<char>{file}, {}};
  }

  const ScratchDir scratch;
  const std::string dir = scratch.path();
  const std::string out = dir + "/shop";
};

const std::vector<PublishedFile> kFirst{{"index.html", "one"}, {"api/v2/incidents/open.json", "1"}};
const std::vector<PublishedFile> kSecond{{"index.html", "two"}};

TEST_F(PublisherTest, ADirectoryIsReplacedAsAWhole) {
  auto publisher = Publisher::open(out + "/");
  ASSERT_TRUE(publisher) << publisher.error().text;
  ASSERT_TRUE(publisher->publish(kFirst));
  EXPECT_EQ(read("index.html"), "one");
  EXPECT_EQ(read("api/v2/incidents/open.json"), "1");
  const fs::path old = fs::canonical(out);

  ASSERT_TRUE(publisher->publish(kSecond));
  EXPECT_EQ(read("index.html"), "two");
  EXPECT_FALSE(fs::exists(out + "/api"));
  EXPECT_TRUE(fs::exists(old / "api")) << "who reads the old one keeps it";

  ASSERT_TRUE(publisher->publish(kFirst));
  EXPECT_EQ(fs::canonical(out), old);
  EXPECT_EQ(read("index.html"), "one");
}

TEST_F(PublisherTest, EverybodyMayReadItWhateverTheUmask) {
  const mode_t before = ::umask(0077);
  {
    auto publisher = Publisher::open(out);
    ASSERT_TRUE(publisher);
    EXPECT_TRUE(publisher->publish(kFirst));
  }
  ::umask(before);

  struct stat there {};

  ASSERT_EQ(::stat((out + "/api/v2/incidents").c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 0777, 0755U);
  ASSERT_EQ(::stat((out + "/index.html").c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 0777, 0644U);
}

TEST_F(PublisherTest, WhatSomebodyElsePutThereIsNeverReplaced) {
  fs::create_directory(out);
  std::ofstream{out + "/precious"} << "x";
  const auto refused = Publisher::open(out);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kExists);
  EXPECT_TRUE(fs::exists(out + "/precious"));

  fs::remove_all(out);
  fs::create_directory(dir + "/elsewhere");
  fs::create_directory_symlink("elsewhere", out);
  EXPECT_FALSE(Publisher::open(out));
  fs::remove(out);
  std::ofstream{out} << "a file";
  EXPECT_FALSE(Publisher::open(out));
  for (const char* odd : {"/", ".", "..", ""}) EXPECT_FALSE(Publisher::open(odd)) << odd;
}

TEST_F(PublisherTest, AnEmptyDirectoryIsTaken) {
  fs::create_directory(out);
  auto publisher = Publisher::open(out);
  ASSERT_TRUE(publisher);
  ASSERT_TRUE(publisher->publish(kFirst));
  EXPECT_EQ(read("index.html"), "one");
}

TEST_F(PublisherTest, AMissingParentIsNamed) {
  const auto opened = Publisher::open(dir + "/nothing/demo");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().text,
            "there is no directory " + dir + "/nothing, where demo should be published");
}

TEST_F(PublisherTest, OnlyOneAtATimePublishesInAPlace) {
  const auto publisher = Publisher::open(out);
  ASSERT_TRUE(publisher);
  const auto second = Publisher::open(out);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
}

TEST_F(PublisherTest, WhatADeadPublisherLeftBehindDoesNotHinderTheNext) {
  {
    auto publisher = Publisher::open(out);
    ASSERT_TRUE(publisher);
    ASSERT_TRUE(publisher->publish(kFirst));
  }
  fs::create_directory(dir + "/.shop.b");
  std::ofstream{dir + "/.shop.b/index.html"} << "half";
  fs::create_symlink("nowhere", dir + "/.shop.link");
  auto publisher = Publisher::open(out);
  ASSERT_TRUE(publisher);
  EXPECT_EQ(read("index.html"), "one");
  ASSERT_TRUE(publisher->publish(kSecond));
  EXPECT_EQ(read("index.html"), "two");
}

TEST_F(PublisherTest, AFailureLeavesWhatWasThere) {
  auto publisher = Publisher::open(out);
  ASSERT_TRUE(publisher);
  ASSERT_TRUE(publisher->publish(kFirst));
  EXPECT_FALSE(publisher->publish({{"a", "file"}, {"a/b", "below a file"}}));
  EXPECT_EQ(read("index.html"), "one");
  ASSERT_TRUE(publisher->publish(kSecond));
  EXPECT_EQ(read("index.html"), "two");
}

}  // namespace
}  // namespace tocsin::collector::status
