#include "common/io/resolver.h"

#include "common/base/check.h"
#include "common/base/strings.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <sys/stat.h>
#include <unordered_map>

namespace tocsin::io {

namespace {

/// Bounds of the hosts file; what is beyond them is not read.
constexpr std::size_t kHostsLinesMax = 10'000;

struct FileStamp {
  std::int64_t mtime_ns = -1;
  std::int64_t size = -1;
  std::uint64_t inode = 0;

  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

FileStamp stamp_of(const std::string& path) {
  struct stat st {};

  if (::stat(path.c_str(), &st) != 0) return {};
  return {static_cast<std::int64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + st.st_mtim.tv_nsec,
          st.st_size, st.st_ino};
}

using Hosts = std::unordered_map<std::string, std::vector<IpAddress>>;

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t start = line.find_first_not_of(" \t\r");
    if (start == std::string_view::npos || line[start] == '#') return out;
    line.remove_prefix(start);
    const std::size_t end = std::min(line.find_first_of(" \t\r#"), line.size());
    out.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

Hosts read_hosts(const std::string& path) {
  Hosts out;
  std::ifstream file{path};
  std::string line;
  for (std::size_t n = 0; n < kHostsLinesMax && std::getline(file, line); ++n) {
    const std::vector<std::string_view> words = words_of(line);
    if (words.empty()) continue;
    const auto address = IpAddress::parse(words[0]);
    if (!address) continue;
    for (std::size_t i = 1; i < words.size(); ++i) {
      std::vector<IpAddress>& list = out[to_lower(words[i])];
      if (std::find(list.begin(), list.end(), *address) == list.end()) list.push_back(*address);
    }
  }
  return out;
}

bool wants(IpFamily family, const IpAddress& address) {
  return family == IpFamily::kAny || (family == IpFamily::kV4) == address.is_v4();
}

/// IPv4 first, the given order within a family, at most kAddressesMax.
std::vector<IpAddress> in_order(const std::vector<IpAddress>& addresses, IpFamily family) {
  std::vector<IpAddress> out;
  for (const bool v4 : {true, false}) {
    for (const IpAddress& address : addresses) {
      if (address.is_v4() == v4 && wants(family, address) &&
          out.size() < Resolution::kAddressesMax) {
        out.push_back(address);
      }
    }
  }
  return out;
}

struct Addresses {
  std::vector<IpAddress> list;
  std::uint32_t ttl = UINT32_MAX;
};

/// Follows the aliases from `host` and takes the addresses at their end. Records for other names
/// are nobody's business.
Addresses addresses_in(const dns::Message& message, const std::string& host, DnsType type) {
  Addresses out;
  std::string name = to_lower(host) + '.';
  for (std::size_t hops = 0; hops < dns::kAnswersMax; ++hops) {
    const auto alias = std::find_if(
        message.answers.begin(), message.answers.end(),
        [&](const DnsRecord& r) { return r.type == DnsType::kCname && iequals(r.name, name); });
    if (alias == message.answers.end()) break;
    out.ttl = std::min(out.ttl, alias->ttl);
    name = to_lower(alias->data);
  }
  for (const DnsRecord& record : message.answers) {
    if (record.type != type || !iequals(record.name, name)) continue;
    if (const auto address = IpAddress::parse(record.data)) {
      out.list.push_back(*address);
      out.ttl = std::min(out.ttl, record.ttl);
    }
  }
  return out;
}

bool is_local_name(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost");
}

}  // namespace

struct Resolver::Impl {
  struct Cached {
    std::vector<IpAddress> addresses;
    MonoTime until;
  };

  class Lookup;

  Impl(EventLoop& on, ResolverOptions with)
      : loop(on),
        options(std::move(with)) {}

  Expected<void> reopen_if_changed();
  const std::vector<IpAddress>* find_host(const std::string& host);
  void remember(const std::string& host, IpFamily family, const Addresses& addresses);

  EventLoop& loop;
  ResolverOptions options;
  FileStamp hosts_stamp;
  Hosts hosts;
  bool hosts_read = false;
  FileStamp conf_stamp;
  std::unique_ptr<DnsChannel> channel;
  std::map<std::pair<std::string, IpFamily>, Cached> cache;
};

Expected<void> Resolver::Impl::reopen_if_changed() {
  const bool from_system = options.servers.empty();
  const FileStamp stamp = from_system ? stamp_of(options.resolv_conf_path) : FileStamp{};
  if (channel != nullptr && stamp == conf_stamp) return {};
  std::vector<DnsServer> servers = options.servers;
  if (from_system) {
    TRY_ASSIGN(servers, system_dns_servers());
  }
  TRY_ASSIGN(auto opened, DnsChannel::open(loop, {.servers = std::move(servers),
                                                  .tcp = false,
                                                  .tcp_when_truncated = true,
                                                  .timeout = options.timeout,
                                                  .tries = 2}));
  channel = std::move(opened);
  conf_stamp = stamp;
  return {};
}

const std::vector<IpAddress>* Resolver::Impl::find_host(const std::string& host) {
  const FileStamp stamp = stamp_of(options.hosts_path);
  if (!hosts_read || stamp != hosts_stamp) {
    hosts = read_hosts(options.hosts_path);
    hosts_stamp = stamp;
    hosts_read = true;
  }
  const auto at = hosts.find(host);
  return at == hosts.end() ? nullptr : &at->second;
}

void Resolver::Impl::remember(const std::string& host, IpFamily family,
                              const Addresses& addresses) {
  if (!options.cache || addresses.ttl == 0) return;
  const MonoTime now = loop.now().mono;
  if (cache.size() >= kCacheEntriesMax) {
    std::erase_if(cache, [&](const auto& entry) { return entry.second.until <= now; });
    if (cache.size() >= kCacheEntriesMax) return;
  }
  const Duration ttl = std::min<Duration>(kCacheMax, std::chrono::seconds{addresses.ttl});
  cache[{host, family}] = {addresses.list, now + ttl};
}

/// One or two questions under way for one name.
class Resolver::Impl::Lookup final : public ResolveHandle {
 public:
  Lookup(Impl& impl, std::string host, IpFamily family, Done done)
      : impl_(impl),
        host_(std::move(host)),
        family_(family),
        done_(std::move(done)) {}

  void start() {
    if (const auto opened = impl_.reopen_if_changed(); !opened) {
      failure_ = Failure{Reason::kSelfResolver, opened.error().text};
      timer_ = impl_.loop.after(Duration{0}, [this] { finish(); });
      return;
    }
    if (family_ != IpFamily::kV6) ask(four_, DnsType::kA);
    if (family_ != IpFamily::kV4) ask(six_, DnsType::kAaaa);
  }

 private:
  void ask(std::unique_ptr<DnsExchange>& exchange, DnsType type) {
    ++open_;
    exchange = impl_.channel->ask({.name = host_, .type = type}, [this, type](DnsAnswer answer) {
      on_answer(type, std::move(answer));
    });
  }

  void on_answer(DnsType type, DnsAnswer answer) {
    --open_;
    if (!answer) {
      note_failure(answer.error());
    } else if (answer->rcode != 0) {
      const std::string rcode = dns::rcode_name(answer->rcode);
      note_failure(
          {reason_of_rcode(rcode), fmt::format("the resolver answered {} for {}", rcode, host_)});
    } else {
      Addresses got = addresses_in(*answer, host_, type);
      found_.list.insert(found_.list.end(), got.list.begin(), got.list.end());
      found_.ttl = std::min(found_.ttl, got.ttl);
    }
    if (open_ == 0) {
      finish();
    } else if (!found_.list.empty()) {
      timer_ = impl_.loop.after(kFamilyLag, [this] { finish(); });
    }
  }

  /// The resolver's own absence is our fault, not the target's.
  void note_failure(Failure failure) {
    if (failure.reason == Reason::kDnsRefused) failure.reason = Reason::kSelfResolver;
    if (!failure_) failure_ = std::move(failure);
  }

  void finish() {
    four_.reset();
    six_.reset();
    timer_.reset();
    const Done done = std::move(done_);
    if (!found_.list.empty()) {
      impl_.remember(host_, family_, found_);
      done(Resolution{in_order(found_.list, family_), false});
      return;
    }
    if (failure_) {
      done(tl::unexpected{*failure_});
      return;
    }
    const char* wanted = family_ == IpFamily::kV4   ? "no A record"
                         : family_ == IpFamily::kV6 ? "no AAAA record"
                                                    : "neither A nor AAAA record";
    done(tl::unexpected{
        Failure{Reason::kDnsNodata, fmt::format("{} exists, but has {}", host_, wanted)}});
  }

  Impl& impl_;
  std::string host_;
  IpFamily family_;
  Done done_;
  std::unique_ptr<DnsExchange> four_;
  std::unique_ptr<DnsExchange> six_;
  TimerHandle timer_;
  int open_ = 0;
  Addresses found_;
  std::optional<Failure> failure_;
};

Resolver::Resolver(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

Resolver::~Resolver() = default;

Expected<std::unique_ptr<Resolver>> Resolver::open(EventLoop& loop, ResolverOptions options) {
  auto impl = std::make_unique<Impl>(loop, std::move(options));
  TRY(impl->reopen_if_changed());
  return std::unique_ptr<Resolver>{new Resolver{std::move(impl)}};
}

std::optional<Resolution> Resolver::find(const std::string& host, IpFamily family) {
  Impl& my = *impl_;
  if (const std::vector<IpAddress>* listed = my.find_host(host)) {
    std::vector<IpAddress> fitting = in_order(*listed, family);
    if (!fitting.empty()) return Resolution{std::move(fitting), true};
  }
  if (is_local_name(host)) {
    const std::vector<IpAddress> loopback{IpAddress::v4({127, 0, 0, 1}), *IpAddress::parse("::1")};
    return Resolution{in_order(loopback, family), true};
  }
  const auto cached = my.cache.find({host, family});
  if (cached == my.cache.end() || cached->second.until <= my.loop.now().mono) return std::nullopt;
  return Resolution{in_order(cached->second.addresses, family), true};
}

std::unique_ptr<ResolveHandle> Resolver::resolve(const std::string& host, IpFamily family,
                                                 Done done) {
  auto lookup = std::make_unique<Impl::Lookup>(*impl_, host, family, std::move(done));
  lookup->start();
  return lookup;
}

}  // namespace tocsin::io
