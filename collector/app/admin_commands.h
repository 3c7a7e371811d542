#pragma once
// Question answered here: what can be asked of a collector through admin.sock, or of its state
// directory when none runs?
//
//   {"command":"enroll","region":R,"expires":"24h","endpoints":[...]}  -> {"bundle": TEXT}
//   {"command":"revoke-agent","agent":ID}                              -> {}
//   {"command":"agents"}                                               -> {"agents":[{...}]}
//   {"command":"admin-token","user":U}    -> {"user":U,"token":SECRET}: of an admin, who is made
//                                            if there is no such user
//   {"command":"set-password","user":U,"password":P} -> {"user":U}: of an admin who is made, if no
//   user
//                                            has the key and nobody has a password yet
//   {"command":"ack","incident":N}, {"command":"resolve","incident":N} -> {"incident":"INC-N"}
//   {"command":"export-status","page":SLUG,"url":U,"every":"30s"} -> {"files":[[NAME,TEXT],...],
//                                            "silent":[...],"silent_after_s":N}: a page as files,
//                                            and what to show when no later one comes by then
//
// N is INC-42, 42 or the id. Every answer has "ok"; see admin_socket.h.

#include "collector/app/admin_socket.h"
#include "collector/app/bundle.h"
#include "collector/core/engine.h"
#include "collector/ports/event_sink.h"
#include "collector/status/pages.h"
#include "common/io/password_pool.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tocsin::collector {

/// One thread: the loop's.
class AdminCommands {
 public:
  struct Ports {
    EventSink& engine;
    io::EventLoop& loop;
    std::function<std::shared_ptr<const EngineView>()> view;  ///< The newest one; not null.
    BundleSource bundles;
    io::PasswordPool& passwords;
    status::StatusPages* pages;  ///< Null when no collector runs: nothing is then published.
  };

  explicit AdminCommands(Ports ports);

  /// An AdminServer::Handler.
  void handle(const codec::Node& request, const std::string& actor,
              const AdminServer::Answer& answer);

 private:
  Expected<void> dispatch(const codec::Node& request, const std::string& actor,
                          const AdminServer::Answer& answer);
  Expected<void> enroll(codec::MapReader& reader, const std::string& actor,
                        const AdminServer::Answer& answer);
  Expected<void> admin_token(codec::MapReader& reader, const std::string& actor,
                             const AdminServer::Answer& answer);
  Expected<void> set_password(codec::MapReader& reader, const std::string& actor,
                              const AdminServer::Answer& answer);
  /// Makes an admin of that key, then `then`.
  Expected<void> make_admin(const std::string& key, const std::string& actor,
                            const AdminServer::Answer& answer,
                            std::function<Expected<void>()> then);
  codec::Node agents() const;
  Expected<codec::Node> export_status(codec::MapReader& reader);
  Expected<IncidentRow> find_incident(const std::string& name) const;
  /// Answers with `fields` once the command's reply has come without an error.
  Expected<void> ask(Event command, std::vector<codec::Node::Entry> fields,
                     AdminServer::Answer answer);

  Ports ports_;
  std::vector<FieldError> errors_;
};

/// 256 random bits in base64url: 43 characters.
std::string new_secret();

/// What `agents` answers, as a table for people.
std::string format_agents(const codec::Node& answer);

}  // namespace tocsin::collector
