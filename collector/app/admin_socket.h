#pragma once
// Question answered here: how do commands on the same machine speak with the running collector?
//
// A Unix socket with mode 0600 in the state directory. One request per connection, one line of JSON
// each way:
//   {"command":"agents"}                      -> {"ok":true, ...}
//   {"command":"enroll","region":"eu-west"}   -> {"ok":false,"error":"...","code":"not_found"}
// Who may open the socket may do everything; the peer's user id is recorded as the actor.

#include "common/base/expected.h"
#include "common/codec/node.h"
#include "common/io/event_loop.h"
#include "common/io/fd.h"

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

namespace tocsin::collector {

class AdminServer {
 public:
  /// Behaviour at the bounds: more connections wait in the kernel's queue, a longer line or a
  /// slower peer is disconnected.
  static constexpr std::size_t kConnectionsMax = 16;
  static constexpr std::size_t kLineMax = 64 * 1024;
  static constexpr Duration kTimeout = std::chrono::seconds{30};

  using Answer = std::function<void(codec::Node)>;
  /// On the loop's thread; `answer` is called once, there, now or later.
  using Handler = std::function<void(codec::Node request, std::string actor, Answer answer)>;

  /// Replaces a socket that was left behind: the store's lock says that nobody listens on it.
  static Expected<std::unique_ptr<AdminServer>> open(io::EventLoop& loop, const std::string& path,
                                                     Handler handler);
  /// Removes the socket.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

 private:
  struct Connection;

  AdminServer(io::EventLoop& loop, std::string path, io::Fd listener, Handler handler);
  void accept();
  void read(Connection& connection);
  void write(Connection& connection);
  void answer(std::uint64_t id, const codec::Node& node);
  void close(Connection& connection);

  io::EventLoop& loop_;
  const std::string path_;
  io::Fd listener_;
  Handler handler_;
  std::list<std::unique_ptr<Connection>> connections_;
  std::uint64_t last_id_ = 0;
  /// Answers may come after this is gone; they look here first. Shared with each of them.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  io::WatchHandle watch_;
};

/// Asks the running collector and waits for the answer; nothing when nobody listens on `path`. An
/// answer with "ok": false comes back as its error.
std::optional<Expected<codec::Node>> call_admin(const std::string& path, const codec::Node& request,
                                                Duration at_most);

codec::Node admin_error(const Error& error);

/// The answer itself, or the error it carries.
Expected<codec::Node> read_admin_answer(codec::Node answer);

/// Does a collector listen on it?
bool somebody_listens(const std::string& path);

}  // namespace tocsin::collector
