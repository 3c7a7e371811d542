#include "agent/app/enrol.h"

#include "agent/app/host.h"
#include "agent/uplink/uplink.h"
#include "common/base/strings.h"
#include "common/io/build_info.h"
#include "common/io/file.h"

#include <unistd.h>

#include <optional>

namespace tocsin::agent {

namespace {

/// One conversation: connect with `with`, send Enrol, wait for what comes of it.
class Conversation {
 public:
  Conversation(io::EventLoop& loop, const Bundle& bundle, const io::CurveKeyPair& with,
               const std::string& offered, Duration patience)
      : loop_(loop),
        offered_(offered) {
    Uplink::Options options;
    options.endpoints = bundle.endpoints;
    options.server_keys = bundle.server_keys;
    options.keys = with;
    uplink_ = std::make_unique<Uplink>(loop, std::move(options),
                                       [this](UplinkEvent event) { on_event(std::move(event)); });
    give_up_ = loop.after(patience, [this] {
      end(fail(Errc::kUnavailable, "no answer from the collector{}{}", last_.empty() ? "" : "; ",
               last_));
    });
  }

  Expected<Enrolled> wait() {
    while (!outcome_) loop_.run_once();
    return *outcome_;
  }

 private:
  void on_event(UplinkEvent event) {
    if (std::holds_alternative<UplinkUp>(event)) {
      uplink_->send(Enrol{
          .public_key = offered_, .version = std::string(io::version()), .host = host_name()});
    } else if (const auto* down = std::get_if<UplinkDown>(&event)) {
      last_ = fmt::format("{} ({})", down->why, advice(down->trouble));
      if (down->trouble == LinkTrouble::kKeyRefused) {
        end(fail(Errc::kDenied, "the collector refuses this key"));
      }
    } else if (const auto* message = std::get_if<UplinkMessage>(&event)) {
      if (const auto* enrolled = std::get_if<Enrolled>(&message->message)) {
        end(*enrolled);
      } else if (const auto* refused = std::get_if<Refused>(&message->message)) {
        end(fail(Errc::kDenied, "the collector refuses the enrolment ({}): {}",
                 to_string(refused->code), printable(refused->text)));
      }
    } else {
      last_ = std::get<UplinkUnreadable>(event).why;
    }
  }

  void end(Expected<Enrolled> outcome) {
    if (!outcome_) outcome_ = std::move(outcome);
  }

  io::EventLoop& loop_;
  const std::string offered_;
  std::unique_ptr<Uplink> uplink_;
  io::TimerHandle give_up_;
  std::string last_;
  std::optional<Expected<Enrolled>> outcome_;
};

Expected<Enrolled> ask(io::EventLoop& loop, const Bundle& bundle, const io::CurveKeyPair& with,
                       const std::string& offered, Duration patience) {
  return Conversation(loop, bundle, with, offered, patience).wait();
}

/// The command that makes another bundle like this one.
std::string remake(const Bundle& bundle) {
  return bundle.agent ? "tocsin-collector enroll --agent " + bundle.agent->str()
                      : "tocsin-collector enroll --region " + bundle.region;
}

Expected<Identity> finish(const Enrolled& enrolled, const Bundle& bundle,
                          const io::CurveKeyPair& keys, const EnrolOptions& options) {
  Identity identity;
  identity.agent = enrolled.agent;
  identity.region = enrolled.region.empty() ? bundle.region : enrolled.region;
  identity.keys = keys;
  identity.endpoints = bundle.endpoints;
  identity.server_keys = bundle.server_keys;
  TRY(store_identity(options.identity_path, identity));
  ::unlink(options.pending_path.c_str());  // If it stays, the identity wins.
  return identity;
}

}  // namespace

Expected<Identity> enrol(io::EventLoop& loop, const Bundle& bundle, const EnrolOptions& options) {
  TRY(io::make_directory(options.state_dir));
  const auto known = load_identity(options.identity_path);
  if (!known && known.error().code != Errc::kNotFound) return Unexpected(known.error());
  if (known && !bundle.agent) {
    return fail(
        Errc::kExists,
        "{} already is agent {} of region {}; to renew its key make a bundle with "
        "tocsin-collector enroll --agent {}; to enrol this machine anew, stop the agent and "
        "move that file away",
        options.identity_path, known->agent.str(), known->region, known->agent.str());
  }
  if (bundle.agent && (!known || known->agent != *bundle.agent)) {
    return fail(Errc::kInvalid,
                "the bundle renews the key of agent {}, but {}; for a new agent make one with "
                "tocsin-collector enroll --region {}",
                bundle.agent->str(),
                known ? fmt::format("{} is agent {}", options.identity_path, known->agent.str())
                      : fmt::format("there is no {}", options.identity_path),
                bundle.region);
  }

  auto keys = load_pending_keys(options.pending_path);
  if (!keys && keys.error().code != Errc::kNotFound) return Unexpected(keys.error());
  if (keys) {
    const auto again = ask(loop, bundle, *keys, keys->public_key, options.patience);
    if (again) return finish(*again, bundle, *keys, options);
    if (again.error().code != Errc::kDenied) return Unexpected(again.error());
  } else {
    keys = io::make_curve_keypair();
    if (!keys) return Unexpected(keys.error());
    TRY(store_pending_keys(options.pending_path, *keys));
  }
  if (loop.now().wall > bundle.expires) {
    return fail(Errc::kDenied, "the bundle expired at {}: make a new one with {}",
                format_rfc3339(bundle.expires), remake(bundle));
  }
  const auto enrolled = ask(loop, bundle, bundle.keys, keys->public_key, options.patience);
  if (!enrolled) {
    if (enrolled.error().code != Errc::kDenied) return Unexpected(enrolled.error());
    return fail(Errc::kDenied, "{}; a bundle works once and expires: make a new one with {}",
                enrolled.error().text, remake(bundle));
  }
  return finish(*enrolled, bundle, *keys, options);
}

}  // namespace tocsin::agent
