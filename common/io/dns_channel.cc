#include "common/io/dns_channel.h"

#include "common/base/check.h"
#include "common/base/defer.h"
#include "common/base/strings.h"

#include <ares.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <netinet/in.h>
#include <unordered_map>

namespace tocsin::io {

namespace {

Expected<void> init_library() {
  static const int result = ares_library_init(ARES_LIB_INIT_ALL);
  if (result == ARES_SUCCESS) return {};
  return fail(Errc::kUnavailable, "c-ares: {}", ares_strerror(result));
}

/// Unpredictable; one call of the generator, which costs more than the query's encoding, for many.
std::uint16_t random_id() {
  thread_local std::array<std::uint8_t, 128> bytes;
  thread_local std::size_t used = bytes.size();
  if (used == bytes.size()) {
    CHECK(RAND_bytes(bytes.data(), bytes.size()) == 1);
    used = 0;
  }
  const auto id = static_cast<std::uint16_t>(bytes[used] << 8 | bytes[used + 1]);
  used += 2;
  return id;
}

Failure failure_of(int status, const std::string& servers) {
  const std::string text = fmt::format("{}: {}", servers, ares_strerror(status));
  switch (status) {
    case ARES_ETIMEOUT:
      return {Reason::kDnsTimeout, fmt::format("{} did not answer", servers)};
    case ARES_ECONNREFUSED:
      return {Reason::kDnsRefused,
              fmt::format("{} cannot be reached or is not listening", servers)};
    case ARES_ENOMEM:
      return {Reason::kSelfMemory, text};
    case ARES_EBADRESP:
    case ARES_EFORMERR:
      return {Reason::kDnsProtocol, text};
    default:
      return {Reason::kSelfResolver, text};
  }
}

/// What c-ares holds of a question, and what its exchange holds: whoever goes last frees it.
struct Pending {
  dns::Query query;
  DnsChannel::Done done;  ///< Empty once cancelled or called.
};

class Exchange final : public DnsExchange {
 public:
  explicit Exchange(std::shared_ptr<Pending> pending)
      : pending_(std::move(pending)) {}

  ~Exchange() override { pending_->done = nullptr; }

 private:
  std::shared_ptr<Pending> pending_;  ///< Shared with c-ares, which cannot cancel one query.
};

}  // namespace

Expected<DnsServer> DnsServer::parse(std::string_view text, std::uint16_t port) {
  TRY_ASSIGN(const AddressPort place, parse_address_port(text, port));
  return DnsServer{place.address, place.port};
}

std::uint16_t random_dns_id() { return random_id(); }

Expected<std::vector<DnsServer>> system_dns_servers() {
  TRY(init_library());
  ares_channel channel = nullptr;
  if (const int status = ares_init(&channel); status != ARES_SUCCESS) {
    return fail(Errc::kUnavailable, "read /etc/resolv.conf: {}", ares_strerror(status));
  }
  const Defer destroy{[&] { ares_destroy(channel); }};
  ares_addr_port_node* nodes = nullptr;
  if (const int status = ares_get_servers_ports(channel, &nodes); status != ARES_SUCCESS) {
    return fail(Errc::kUnavailable, "read /etc/resolv.conf: {}", ares_strerror(status));
  }
  const Defer release{[&] { ares_free_data(nodes); }};
  std::vector<DnsServer> out;
  for (const ares_addr_port_node* node = nodes; node != nullptr; node = node->next) {
    DnsServer server;
    if (node->family == AF_INET) {
      std::array<std::uint8_t, 4> bytes{};
      std::memcpy(bytes.data(), &node->addr.addr4, bytes.size());
      server.address = IpAddress::v4(bytes);
    } else {
      std::array<std::uint8_t, 16> bytes{};
      std::memcpy(bytes.data(), &node->addr.addr6, bytes.size());
      server.address = IpAddress::v6(bytes);
    }
    if (node->udp_port > 0) server.port = static_cast<std::uint16_t>(node->udp_port);
    out.push_back(server);
  }
  return out;
}

struct DnsChannel::Impl {
  Impl(EventLoop& on, DnsChannelOptions with)
      : loop(on),
        options(std::move(with)) {
    std::vector<std::string> names;
    names.reserve(options.servers.size());
    for (const DnsServer& server : options.servers) names.push_back(server.str());
    servers = join(names, ",");
  }

  ~Impl() {
    // Calls back for every pending query (ARES_EDESTRUCTION) and for every socket (0, 0).
    if (channel != nullptr) ares_destroy(channel);
  }

  Expected<void> open();
  void on_socket(int fd, bool readable, bool writable);
  void process(int read_fd, int write_fd);
  void arm_timer();
  void deliver();
  static void on_answer(void* arg, int status, int timeouts, unsigned char* bytes, int size);
  DnsAnswer read_answer(const dns::Query& query, int status, ByteSpan bytes) const;

  struct Finished {
    std::shared_ptr<Pending> pending;
    DnsAnswer answer;
  };

  /// c-ares' argument of one query.
  struct Slot {
    Impl* impl;
    std::shared_ptr<Pending> pending;
  };

  EventLoop& loop;
  DnsChannelOptions options;
  std::string servers;
  ares_channel channel = nullptr;
  std::unordered_map<int, WatchHandle> watches;
  TimerHandle timeout_timer;
  TimerHandle deliver_timer;
  std::vector<Finished> finished;
};

Expected<void> DnsChannel::Impl::open() {
  TRY(init_library());
  ares_options init{};
  // NOCHECKRESP: SERVFAIL, REFUSED and NOTIMP are answers, and somebody may assert on them.
  init.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  if (options.tcp) init.flags |= ARES_FLAG_USEVC;
  if (!options.tcp_when_truncated) init.flags |= ARES_FLAG_IGNTC;
  init.timeout = static_cast<int>(std::max<std::int64_t>(options.timeout.count() / 1000, 1));
  init.tries = options.tries;
  init.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<Impl*>(self)->on_socket(fd, readable != 0, writable != 0);
  };
  init.sock_state_cb_data = this;
  const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  if (const int status = ares_init_options(&channel, &init, mask); status != ARES_SUCCESS) {
    return fail(Errc::kUnavailable, "open a DNS channel: {}", ares_strerror(status));
  }
  if (const int status = ares_set_servers_ports_csv(channel, servers.c_str());
      status != ARES_SUCCESS) {
    return fail(Errc::kInvalid, "DNS servers {}: {}", servers, ares_strerror(status));
  }
  return {};
}

void DnsChannel::Impl::on_socket(int fd, bool readable, bool writable) {
  const Interest interest = (readable ? Interest::kRead : Interest::kNone) |
                            (writable ? Interest::kWrite : Interest::kNone);
  if (interest == Interest::kNone) {
    watches.erase(fd);  // c-ares closes it next.
    return;
  }
  WatchHandle& watch = watches[fd];
  if (watch != nullptr) {
    watch->set(interest);
    return;
  }
  watch = loop.watch(fd, interest, [this, fd](Interest ready) {
    process(has(ready, Interest::kRead) ? fd : ARES_SOCKET_BAD,
            has(ready, Interest::kWrite) ? fd : ARES_SOCKET_BAD);
  });
}

void DnsChannel::Impl::process(int read_fd, int write_fd) {
  ares_process_fd(channel, read_fd, write_fd);
  arm_timer();
  deliver();  // May destroy this object.
}

void DnsChannel::Impl::arm_timer() {
  timeval tv{};
  if (ares_timeout(channel, nullptr, &tv) == nullptr) {
    timeout_timer.reset();
    return;
  }
  // c-ares rounds its own clock; a moment later than it says is never too early.
  const Duration wait{static_cast<std::int64_t>(tv.tv_sec) * 1'000'000 + tv.tv_usec + 1000};
  if (timeout_timer) {
    timeout_timer->set(loop.now().mono + wait);
  } else {
    timeout_timer = loop.after(wait, [this] { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); });
  }
}

void DnsChannel::Impl::deliver() {
  // Nothing of this object may be touched once a callback has run.
  const std::vector<Finished> batch = std::exchange(finished, {});
  for (const Finished& one : batch) {
    if (const Done done = std::exchange(one.pending->done, nullptr)) done(one.answer);
  }
}

void DnsChannel::Impl::on_answer(void* arg, int status, int /*timeouts*/, unsigned char* bytes,
                                 int size) {
  const std::unique_ptr<Slot> slot{static_cast<Slot*>(arg)};
  if (status == ARES_EDESTRUCTION || !slot->pending->done) return;
  Impl& my = *slot->impl;
  const ByteSpan span{bytes, bytes == nullptr || size < 0 ? 0U : static_cast<std::size_t>(size)};
  my.finished.push_back({slot->pending, my.read_answer(slot->pending->query, status, span)});
}

DnsAnswer DnsChannel::Impl::read_answer(const dns::Query& query, int status, ByteSpan bytes) const {
  if (status != ARES_SUCCESS) return tl::unexpected{failure_of(status, servers)};
  auto message = dns::decode_answer(bytes, query);
  if (message) return *std::move(message);
  return tl::unexpected{
      Failure{Reason::kDnsProtocol, fmt::format("{}: {}", servers, message.error().text)}};
}

DnsChannel::DnsChannel(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

DnsChannel::~DnsChannel() = default;

Expected<std::unique_ptr<DnsChannel>> DnsChannel::open(EventLoop& loop, DnsChannelOptions options) {
  if (options.servers.empty()) return fail(Errc::kInvalid, "expected at least one DNS server");
  auto impl = std::make_unique<Impl>(loop, std::move(options));
  TRY(impl->open());
  return std::unique_ptr<DnsChannel>{new DnsChannel{std::move(impl)}};
}

std::unique_ptr<DnsExchange> DnsChannel::ask(const DnsQuestion& question, Done done) {
  Impl& my = *impl_;
  auto pending = std::make_shared<Pending>();
  pending->query = {.id = random_id(),
                    .name = question.name,
                    .type = question.type,
                    .recursion_desired = question.recursion,
                    .dnssec = question.dnssec,
                    .udp_size = question.udp_size,
                    .cls = question.cls,
                    .all_sections = question.all_sections};
  pending->done = std::move(done);
  auto handle = std::make_unique<Exchange>(pending);
  const auto packet = dns::encode_query(pending->query);
  if (packet) {
    auto slot = std::make_unique<Impl::Slot>(Impl::Slot{&my, pending});
    const ByteSpan bytes = as_bytes(*packet);
    ares_send(my.channel, bytes.data(), static_cast<int>(bytes.size()), &Impl::on_answer,
              slot.release());
    my.arm_timer();
  } else {
    Impl::Finished& refused = my.finished.emplace_back();
    refused.pending = pending;
    refused.answer = tl::unexpected{Failure{Reason::kDnsProtocol, packet.error().text}};
  }
  // c-ares may have answered already (no socket, no memory): `done` must not run in here.
  if (!my.finished.empty()) my.deliver_timer = my.loop.after(Duration{0}, [&my] { my.deliver(); });
  return handle;
}

}  // namespace tocsin::io
