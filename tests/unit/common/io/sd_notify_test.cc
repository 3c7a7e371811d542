#include "common/io/sd_notify.h"

#include "common/io/fd.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace tocsin::io {
namespace {

class SdNotify : public testing::Test {
 protected:
  ~SdNotify() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }

  /// A service manager's socket; `name` may begin with '@'.
  void listen(const std::string& name) {
    socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    ASSERT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }

  std::string received() {
    char buffer[256];
    const ssize_t n = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    return n < 0 ? "nothing" : std::string(buffer, static_cast<std::size_t>(n));
  }

  Fd socket_;
};

TEST_F(SdNotify, SendsToAPath) {
  const ScratchDir dir;
  listen(dir / "notify");
  EXPECT_EQ(sd_notify("READY=1").value(), true);
  EXPECT_EQ(received(), "READY=1");
}

TEST_F(SdNotify, SendsToAnAbstractName) {
  listen("@tocsin-test-" + std::to_string(::getpid()));
  EXPECT_EQ(sd_notify("STOPPING=1").value(), true);
  EXPECT_EQ(received(), "STOPPING=1");
}

TEST_F(SdNotify, SaysNothingWithoutAManagerAndFailsOnNonsense) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(sd_notify("READY=1").value(), false);
  ::setenv("NOTIFY_SOCKET", "relative", 1);
  EXPECT_FALSE(sd_notify("READY=1").has_value());
}

TEST_F(SdNotify, WatchdogIsOnlyOursWhenThePidIsOurs) {
  EXPECT_EQ(sd_watchdog(), std::nullopt);
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  EXPECT_EQ(sd_watchdog(), Duration(30s));
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(sd_watchdog(), std::nullopt);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  EXPECT_EQ(sd_watchdog(), Duration(30s));
  ::setenv("WATCHDOG_USEC", "soon", 1);
  EXPECT_EQ(sd_watchdog(), std::nullopt);
}

}  // namespace
}  // namespace tocsin::io
