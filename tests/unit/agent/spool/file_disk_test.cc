#include "agent/spool/file_disk.h"

#include "agent/spool/frame_writer.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

#include <optional>
#include <sys/stat.h>

namespace tocsin::agent {
namespace {

mode_t mode_of(const std::string& path) {
  struct stat st {};

  return ::stat(path.c_str(), &st) == 0 ? st.st_mode & 0777 : 0;
}

class FileDiskTest : public testing::Test {
 protected:
  std::unique_ptr<FileDisk> open() {
    auto disk = FileDisk::open(loop_, dir_ / "spool");
    EXPECT_TRUE(disk.has_value()) << disk.error().text;
    return std::move(*disk);
  }

  /// Turns the loop until the sync is reported.
  Expected<void> sync(FileDisk& disk, std::vector<std::string> names) {
    std::optional<Expected<void>> result;
    disk.sync(std::move(names), [&](Expected<void> r) { result = std::move(r); });
    EXPECT_FALSE(result.has_value()) << "reported inside the call";
    for (int i = 0; i < 100 && !result; ++i) loop_.run_once(1s);
    return result ? *result : fail(Errc::kTimeout, "the sync was not reported");
  }

  ScratchDir dir_;
  SystemClock clock_;
  io::EventLoop loop_{clock_};
};

TEST_F(FileDiskTest, AppendsAddUpAndAreReadBack) {
  const auto disk = open();
  ASSERT_TRUE(disk->append("alert-1.seg", as_bytes("hello ")).has_value());
  ASSERT_TRUE(disk->append("alert-1.seg", as_bytes("world")).has_value());
  ASSERT_TRUE(sync(*disk, {"alert-1.seg"}).has_value());
  EXPECT_EQ(disk->read("alert-1.seg", 6, 100).value(), "world");
  EXPECT_EQ(disk->read("alert-1.seg", 0, 5).value(), "hello");
  EXPECT_EQ(disk->read("alert-1.seg", 50, 5).value(), "");
  EXPECT_EQ(disk->read("none.seg", 0, 5).error().code, Errc::kNotFound);
}

TEST_F(FileDiskTest, DirectoryAndFilesAreTheOwnersOnly) {
  const auto disk = open();
  ASSERT_TRUE(disk->append("a.seg", as_bytes("x")).has_value());
  ASSERT_TRUE(disk->replace("epoch", as_bytes("1")).has_value());
  EXPECT_EQ(mode_of(dir_ / "spool"), 0700U);
  EXPECT_EQ(mode_of(dir_ / "spool/a.seg"), 0600U);
  EXPECT_EQ(mode_of(dir_ / "spool/epoch"), 0600U);
}

TEST_F(FileDiskTest, ListIsSortedAndLeavesOutWhatIsNotTheSpools) {
  {
    const auto disk = open();
    ASSERT_TRUE(disk->append("b.seg", as_bytes("22")).has_value());
    ASSERT_TRUE(disk->append("a.seg", as_bytes("1")).has_value());
    ASSERT_TRUE(disk->append("bad.seg", as_bytes("???")).has_value());
    ASSERT_TRUE(disk->quarantine("bad.seg").has_value());
    ASSERT_TRUE(disk->append("half.tmp", as_bytes("left by a crash")).has_value());
    ASSERT_TRUE(disk->append("gone.seg", as_bytes("3")).has_value());
    ASSERT_TRUE(disk->unlink("gone.seg").has_value());
    ASSERT_TRUE(disk->unlink("gone.seg").has_value());
  }
  const auto disk = open();
  std::vector<std::pair<std::string, std::uint64_t>> seen;
  const auto files = disk->list().value();
  for (const auto& file : files) seen.emplace_back(file.name, file.size);
  EXPECT_EQ(seen, (std::vector<std::pair<std::string, std::uint64_t>>{{"a.seg", 1}, {"b.seg", 2}}));
  EXPECT_TRUE(std::filesystem::exists(dir_ / "spool/bad.seg.corrupt"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "spool/half.tmp"));
}

TEST_F(FileDiskTest, ManyFilesDoNotHoldManyDescriptors) {
  const auto disk = open();
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) {
    names.push_back("f" + std::to_string(i));
    ASSERT_TRUE(disk->append(names.back(), as_bytes(names.back())).has_value());
    if (i % 10 == 9) {
      ASSERT_TRUE(sync(*disk, {names.end() - 10, names.end()}).has_value());
    }
  }
  for (const std::string& name : names) EXPECT_EQ(disk->read(name, 0, 100).value(), name);
  std::size_t open = 0;
  for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    open += std::filesystem::read_symlink(fd.path(), gone).string().starts_with(dir_.path());
  }
  EXPECT_LE(open, FileDisk::kOpenMax + 10);
}

TEST_F(FileDiskTest, SyncOfAFileThatIsGoneFailsLater) {
  const auto disk = open();
  EXPECT_EQ(sync(*disk, {"never.seg"}).error().code, Errc::kNotFound);
}

TEST_F(FileDiskTest, AFileRemovedWhileItsSyncIsUnderWayIsNoError) {
  const auto disk = open();
  ASSERT_TRUE(disk->append("a.seg", as_bytes("x")).has_value());
  std::optional<Expected<void>> result;
  disk->sync({"a.seg"}, [&](Expected<void> r) { result = std::move(r); });
  ASSERT_TRUE(disk->unlink("a.seg").has_value());
  for (int i = 0; i < 100 && !result; ++i) loop_.run_once(1s);
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(result->has_value());
}

TEST_F(FileDiskTest, DestroyingItDropsCallbacks) {
  bool ran = false;
  auto disk = open();
  ASSERT_TRUE(disk->append("a.seg", as_bytes("x")).has_value());
  disk->sync({"a.seg"}, [&](Expected<void>) { ran = true; });
  disk.reset();
  loop_.run_once(Duration::zero());
  EXPECT_FALSE(ran);
}

TEST_F(FileDiskTest, ADirectoryThatCannotBeMadeIsSaid) {
  ASSERT_TRUE(open()->append("file", as_bytes("x")).has_value());
  const auto disk = FileDisk::open(loop_, dir_ / "spool/file");
  ASSERT_FALSE(disk.has_value());
  EXPECT_NE(disk.error().text.find("spool/file"), std::string::npos) << disk.error().text;
}

/// The frame writer over real files: what it reported synced is offered by the next process.
TEST_F(FileDiskTest, FramesSurviveARestart) {
  const auto options = [](std::vector<FrameRef>& synced) {
    FrameWriter::Options o;
    o.agent = AgentId{{1}};
    o.make_nonce = [] { return Uuid{9}; };
    o.on_event = [&synced](SpoolEvent e) {
      if (const auto* s = std::get_if<FrameSynced>(&e)) synced.push_back(s->frame);
    };
    return o;
  };
  CheckResult result;
  result.series = SeriesId{7};
  result.tick = result.tick_last = 3;
  std::vector<FrameRef> synced;
  {
    const auto disk = open();
    auto writer = FrameWriter::open(*disk, options(synced), loop_.now());
    ASSERT_TRUE(writer.has_value()) << writer.error().text;
    (*writer)->add(StreamClass::kAlert, 0, result, true, loop_.now());
    (*writer)->pump(loop_.now());
    for (int i = 0; i < 100 && synced.empty(); ++i) loop_.run_once(1s);
    ASSERT_EQ(synced.size(), 1U);
    EXPECT_TRUE((*writer)->read(synced[0]).has_value());
  }
  const auto disk = open();
  std::vector<FrameRef> again;
  const auto writer = FrameWriter::open(*disk, options(again), loop_.now());
  ASSERT_TRUE(writer.has_value()) << writer.error().text;
  EXPECT_EQ((*writer)->frames_after(synced[0].stream, 0, 10), synced);
  EXPECT_EQ((*writer)->results_held(), 1U);
}

}  // namespace
}  // namespace tocsin::agent
