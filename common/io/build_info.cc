#include "common/io/build_info.h"

#include <event2/event.h>
#include <fmt/core.h>
#include <openssl/crypto.h>
#include <yaml.h>
#include <zmq.h>

namespace tocsin::io {

namespace {

#ifdef __clang__
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "gcc " __VERSION__;
#endif

}  // namespace

std::string_view version() { return TOCSIN_VERSION; }

std::string describe_build(std::string_view program) {
  int major = 0;
  int minor = 0;
  int patch = 0;
  zmq_version(&major, &minor, &patch);
  return fmt::format("{} {}\nbuilt with {}\nlibevent {}, libzmq {}.{}.{}, libyaml {}, {}\n",
                     program, version(), kCompiler, event_get_version(), major, minor, patch,
                     yaml_get_version_string(), OpenSSL_version(OPENSSL_VERSION));
}

void publish_build_info(Metrics& metrics) {
  metrics
      .gauge("tocsin_build_info", "Which build this is",
             {{"version", std::string(version())}, {"compiler", kCompiler}})
      .set(1);
}

}  // namespace tocsin::io
