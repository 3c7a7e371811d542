#pragma once
// Question answered here: how does a host and port become an open (and, if wanted, encrypted)
// connection, and where did the time go?
//
//   kIdle -> kResolving -> kConnecting -> [kTunnelling ->] [kUpgrading ->] [kHandshaking ->] kOpen
//                              ^ next address |
//   Any state -> kFailed: no address left. Destroying the chain stops it in any state.
//
// The addresses of the name are filtered by the egress policy before anything is sent to them, and
// the connection goes to exactly the address that was judged. They race as RFC 8305 has it: the
// families take turns (IPv4 first, as the resolver has them), the next address begins kAttemptDelay
// after the one before (sooner when time is short) or at once when that has failed, and the first
// that is connected wins; the others are dropped without a word. So neither an address nor a family
// that swallows packets hides a good one. A connection whose certificate is bad is not tried
// elsewhere: the server was reached. The same holds for a server that answers STARTTLS with no.
// What is said before TLS counts as phase `tls`. When all addresses fail, the failure reported is
// the first that blames the target, else the first.

#include "agent/probe/connection.h"
#include "agent/probe/phase_clock.h"
#include "agent/probe/probe_context.h"
#include "agent/probe/proxy_tunnel.h"
#include "common/codec/starttls.h"
#include "common/io/resolver.h"
#include "common/model/observation.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::agent {

struct ConnectPlan {
  std::string host;
  bool host_is_address = false;
  std::optional<IpAddress> address;  ///< Nothing is looked up: this is the host's.
  std::uint16_t port = 0;
  IpFamily family = IpFamily::kAny;
  bool tls = false;
  bool verify = true;
  std::string_view ca_pem;  ///< Empty: the system's roots. Of the spec, which outlives the chain.
  std::string tls_name;     ///< SNI and the certificate's name; empty: `host`.
  bool tls_name_is_address = false;
  std::string_view alpn;  ///< See TlsStream::offer_alpn; empty: what `wishes` says. Static.
  std::shared_ptr<const io::TlsIdentity> identity;  ///< Null: none.
  bool resumable = false;                           ///< Ask for a ticket.
  std::shared_ptr<const io::TlsSession> session;    ///< To resume; null: none.
  io::Resolver* resolver = nullptr;                 ///< Null: the agent's. Outlives the chain.
  std::string tunnel;  ///< A CONNECT request to send before TLS: `host` is a proxy.
  StartTls starttls = StartTls::kNone;  ///< With one, `tls` is meant whatever it says.
  io::TlsWishes wishes;
  io::TlsDetail tls_detail = io::TlsDetail::kLeaf;
};

/// Its owner. Called as the last thing the chain does, so it may destroy the chain.
class ConnectOwner {
 public:
  virtual void on_connected(std::unique_ptr<Connection> connection) = 0;
  virtual void on_connect_failed(Failure failure) = 0;

 protected:
  ~ConnectOwner() = default;
};

class ConnectChain final : private ReadyHandler {
 public:
  enum class State : std::uint8_t {
    kIdle,
    kResolving,
    kConnecting,
    kTunnelling,
    kUpgrading,
    kHandshaking,
    kOpen,
    kFailed
  };

  /// Everything by reference outlives the chain. `phases` is in kDns; `seen` gets remote, tried,
  /// dns_cached and tls, and tcp on failure.
  ConnectChain(ProbeContext& context, ConnectPlan plan, MonoTime deadline, PhaseClock& phases,
               Observation& seen, ConnectOwner& owner);
  ~ConnectChain();

  /// Once. May call the owner before it returns.
  void start();

  State state() const { return state_; }

  /// The one that is being opened, or the newest of those that race; null: none, as once the owner
  /// has been called.
  const Connection* connection() const;

  /// What the deadline's passing would mean now, in words and as a reason.
  Failure timed_out() const;

 private:
  static constexpr std::size_t kTriedMax = 16;
  static constexpr std::size_t kBannerMax = 1024;
  static constexpr Duration kAttemptDelay =
      std::chrono::milliseconds{250};           ///< RFC 8305 section 5.
  static constexpr std::size_t kRacingMax = 4;  ///< The oldest gives way.

  /// One address that is being connected to.
  struct Racer final : ReadyHandler {
    Racer(ConnectChain& owner, const IpAddress& to)
        : chain(owner),
          address(to) {}

    void on_ready() override { chain.on_writable(*this); }

    ConnectChain& chain;
    IpAddress address;
    std::unique_ptr<Connection> connection;
  };

  void on_resolved(io::ResolveResult result);
  void use(const std::vector<IpAddress>& addresses);
  void next_address();
  void on_ready() override;
  void on_writable(Racer& racer);
  std::unique_ptr<Racer> take(const Racer& racer);
  void step_tunnel();
  void begin_upgrade();
  void step_upgrade();
  bool send_upgrade();
  void begin_tls();
  void step_tls();
  void address_failed(Failure failure);
  void note(const std::string& remote, Failure failure, const Connection* connection);
  void give_up(Failure failure);
  void open();

  ProbeContext& context_;
  ConnectPlan plan_;
  MonoTime deadline_;
  PhaseClock& phases_;
  Observation& seen_;
  ConnectOwner& owner_;
  State state_ = State::kIdle;
  std::unique_ptr<io::ResolveHandle> resolving_;
  std::vector<IpAddress> addresses_;
  std::size_t next_ = 0;
  std::optional<Failure> first_failure_;
  Boxed<TcpFacts> first_tcp_;                   ///< Of the connection that it is about.
  std::vector<std::unique_ptr<Racer>> racing_;  ///< The oldest first.
  std::unique_ptr<Connection> connection_;      ///< The winner.
  io::TimerHandle address_timer_;
  std::optional<ProxyTunnel> tunnel_;
  std::optional<starttls::Dialog> dialog_;
  std::string unsent_;  ///< Of the dialogue.
};

/// What an attempt has open: its connection, else the one that its chain opens; null: nothing.
inline const Connection* open_connection(const std::unique_ptr<Connection>& connection,
                                         const std::unique_ptr<ConnectChain>& chain) {
  return connection == nullptr && chain != nullptr ? chain->connection() : connection.get();
}

}  // namespace tocsin::agent
