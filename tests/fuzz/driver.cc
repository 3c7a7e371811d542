// Runs a fuzz target without libFuzzer: every file of the corpus once, then seeded mutations of
// them until the time is over.
//
//   fuzz_NAME DIRECTORY...   the corpus, then TOCSIN_FUZZ_SECONDS (default 5) of mutations from
//                            TOCSIN_FUZZ_SEED (default: the clock; printed)
//   fuzz_NAME FILE           that input alone
//
// When the target crashes or takes longer than kInputSecondsMax, the input is written to
// TOCSIN_FUZZ_ARTIFACTS (default: the working directory) as NAME-crash, and its path printed.

#include "common/base/clock.h"
#include "common/base/rng.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kInputMax = 128 * 1024;
constexpr unsigned kInputSecondsMax = 10;

/// What the signal handler needs; plain memory, because nothing else is safe there.
struct Current {
  std::uint8_t bytes[kInputMax];
  std::size_t size = 0;
  char path[4096] = {};
};

Current current;

extern "C" void keep_input(int signal_number) {
  const int fd = ::open(current.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd >= 0) {
    (void)!::write(fd, current.bytes, current.size);
    ::close(fd);
  }
  const char* what = signal_number == SIGALRM ? "\nthe target hangs; the input is kept in "
                                              : "\nthe target crashed; the input is kept in ";
  (void)!::write(STDERR_FILENO, what, std::strlen(what));
  (void)!::write(STDERR_FILENO, current.path, std::strlen(current.path));
  (void)!::write(STDERR_FILENO, "\n", 1);
  std::signal(signal_number, SIG_DFL);
  if (signal_number == SIGALRM) ::_exit(1);
  std::raise(signal_number);
}

void run_one(const std::string& input) {
  current.size = std::min(input.size(), kInputMax);
  std::memcpy(current.bytes, input.data(), current.size);
  ::alarm(kInputSecondsMax);
  // A heap copy of exactly this size, so that a sanitizer sees a read past the end.
  const std::vector<std::uint8_t> exact{current.bytes, current.bytes + current.size};
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

std::size_t position(const std::string& text, tocsin::Rng& rng) {
  return static_cast<std::size_t>(rng.below(text.size() + 1));
}

/// A piece of any input, so that words of the format move to where they do not belong.
std::string piece(const std::vector<std::string>& corpus, tocsin::Rng& rng) {
  const std::string& from = corpus[static_cast<std::size_t>(rng.below(corpus.size()))];
  const std::size_t at = position(from, rng);
  return from.substr(at, static_cast<std::size_t>(rng.below(32)) + 1);
}

void mutate_once(std::string& text, const std::vector<std::string>& corpus, tocsin::Rng& rng) {
  static constexpr std::uint8_t kBytes[] = {0,    1,    0x7f, 0x80, 0xff, 0xc0,
                                            '\r', '\n', ' ',  '"',  '0'};
  const std::size_t at = position(text, rng);
  const bool inside = at < text.size();
  switch (rng.below(8)) {
    case 0:
      if (inside) text[at] = static_cast<char>(text[at] ^ (1 << rng.below(8)));
      break;
    case 1:
      if (inside) text[at] = static_cast<char>(kBytes[rng.below(std::size(kBytes))]);
      break;
    case 2:
      text.insert(at, 1, static_cast<char>(rng.below(256)));
      break;
    case 3:
      text.erase(at, static_cast<std::size_t>(rng.below(16)) + 1);
      break;
    case 4:
      text.insert(at, piece(corpus, rng));
      break;
    case 5:
      if (inside) text.replace(at, 8, piece(corpus, rng));
      break;
    case 6:
      text.resize(at);
      break;
    default:
      text.insert(at, text.substr(position(text, rng), static_cast<std::size_t>(rng.below(64))));
      break;
  }
  if (text.size() > kInputMax) text.resize(kInputMax);
}

std::string mutated(const std::vector<std::string>& corpus, tocsin::Rng& rng) {
  std::string text = corpus[static_cast<std::size_t>(rng.below(corpus.size()))];
  const std::uint64_t times = 1 + rng.below(6);
  for (std::uint64_t i = 0; i < times; ++i) mutate_once(text, corpus, rng);
  return text;
}

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

std::vector<std::string> read_corpus(int argc, char** argv) {
  std::vector<std::string> out;
  for (int i = 1; i < argc; ++i) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator{argv[i]}) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) out.push_back(read_file(path));
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = std::filesystem::path{argv[0]}.filename().string();
  const char* artifacts = std::getenv("TOCSIN_FUZZ_ARTIFACTS");
  const std::string kept = fmt::format("{}/{}-crash", artifacts == nullptr ? "." : artifacts, name);
  std::strncpy(current.path, kept.c_str(), sizeof current.path - 1);
  for (const int s : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM})
    std::signal(s, keep_input);

  if (argc == 2 && std::filesystem::is_regular_file(argv[1])) {
    run_one(read_file(argv[1]));
    fmt::print("{}: {} passed\n", name, argv[1]);
    return 0;
  }
  const std::vector<std::string> corpus = read_corpus(argc, argv);
  if (corpus.empty()) {
    fmt::print(stderr, "usage: {} CORPUS-DIRECTORY... | FILE\n", name);
    return 2;
  }
  const std::uint64_t seconds = number_from("TOCSIN_FUZZ_SECONDS", 5);
  const std::uint64_t seed = number_from(
      "TOCSIN_FUZZ_SEED", static_cast<std::uint64_t>(tocsin::SystemClock{}.now().wall.us));
  fmt::print("{}: {} files, seed {}\n", name, corpus.size(), seed);
  std::fflush(stdout);
  for (const std::string& input : corpus) run_one(input);

  tocsin::Rng rng{seed};
  const tocsin::MonoTime end =
      tocsin::latency_clock() + std::chrono::seconds{static_cast<std::int64_t>(seconds)};
  std::uint64_t runs = 0;
  while (tocsin::latency_clock() < end) {
    for (int i = 0; i < 32; ++i, ++runs) run_one(mutated(corpus, rng));
  }
  ::alarm(0);
  fmt::print("{}: {} inputs in {} s, nothing found\n", name, runs, seconds);
  return 0;
}
