#pragma once
// Question answered here: what may an attempt take over from an earlier one of the same monitor?
//
// Only what a monitor asks for with `connection: resume` (a TLS session) or `reuse` (the open
// connection with its HTTP exchange). The key says everything that makes two connections
// interchangeable, so nothing is shared between monitors that differ in any of it.
//
// A kept connection is watched: when the server closes it or sends anything, it is dropped. It is
// taken out to be used and put back afterwards, so it serves one attempt at a time.

#include "agent/probe/connection.h"
#include "common/base/time.h"
#include "common/codec/http1.h"
#include "common/io/event_loop.h"
#include "common/model/observation.h"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace tocsin::agent {

/// One thread: the loop's.
class ConnectionStore {
 public:
  static constexpr std::size_t kConnectionsMax = 256;  ///< Beyond it the oldest is closed.
  static constexpr std::size_t kSessionsMax = 4096;    ///< Beyond it all are forgotten.
  static constexpr Duration kIdleMax = std::chrono::minutes{5};
  /// A resumed session is not verified again, so after this a full handshake is made.
  static constexpr Duration kSessionAgeMax = std::chrono::minutes{10};

  struct Kept {
    std::unique_ptr<Connection> connection;
    std::unique_ptr<HttpExchange> exchange;
    std::string remote;
    Boxed<TlsFacts> tls;
  };

  struct Session {
    std::shared_ptr<const io::TlsSession> session;  ///< Shared with the connections that resume it.
    MonoTime verified;                              ///< When its certificate was last verified.
  };

  explicit ConnectionStore(io::EventLoop& loop);
  ~ConnectionStore();

  /// Nothing when none is open.
  std::optional<Kept> take(const std::string& key);
  void put(const std::string& key, Kept kept);

  /// The newest session that is still young enough.
  std::optional<Session> session(const std::string& key, MonoTime now) const;
  void put_session(const std::string& key, Session session);

 private:
  struct Idle;

  void drop(const std::string& key);

  io::EventLoop& loop_;
  std::map<std::string, std::unique_ptr<Idle>> idle_;
  std::map<std::string, Session> sessions_;
};

}  // namespace tocsin::agent
