#include "collector/channels/store_alarm.h"

#include "collector/channels/outbox_runner.h"
#include "common/codec/json.h"
#include "common/codec/node.h"
#include "common/io/log.h"
#include "common/io/random.h"

#include <utility>

namespace tocsin::collector {

using codec::Node;

std::string store_alarm_body(bool failing, const std::string& id, WallTime since, WallTime now,
                             std::string_view source) {
  Node store = Node::map();
  store.set("state", Node::string(failing ? "failing" : "working"));
  store.set("failing_since", Node::string(format_rfc3339(since)));
  store.set("title", Node::string(failing ? "The collector cannot write its store"
                                          : "The collector writes its store again"));
  store.set("because",
            Node::string(failing ? "Agents keep their results, and nothing is decided or paged "
                                   "until the store works: look at the disk of state_dir"
                                 : "What the agents kept is being stored; what is due is paged"));
  Node data = Node::map();
  data.set("store", std::move(store));
  Node out = Node::map();
  out.set("specversion", Node::string("1.0"));
  out.set("id", Node::string(id));
  out.set("source", Node::string(std::string{source}));
  out.set("type",
          Node::string(failing ? "io.tocsin.store.failing.v1" : "io.tocsin.store.working.v1"));
  out.set("time", Node::string(format_rfc3339(now)));
  out.set("subject", Node::string("store"));
  out.set("datacontenttype", Node::string("application/json"));
  out.set("data", std::move(data));
  return codec::print_json(out);
}

StoreAlarm::StoreAlarm(io::EventLoop& loop, Rng& rng, std::string source, Post post)
    : loop_(loop),
      rng_(rng),
      source_(std::move(source)),
      post_(std::move(post)) {}

void StoreAlarm::look(std::optional<Duration> failing_for) {
  const bool failing = failing_for && *failing_for >= kPatience;
  switch (state_) {
    case State::kQuiet:
    case State::kBack:
      if (!failing) return;
      since_ = loop_.now().wall - *failing_for;
      return tell(State::kFailing);
    case State::kFailing:
      // One success ends it: the commit that was waiting went through.
      if (!failing_for) tell(State::kBack);
      return;
  }
}

StoreAlarmStats StoreAlarm::stats() const {
  StoreAlarmStats out = stats_;
  out.failing = state_ == State::kFailing;
  return out;
}

void StoreAlarm::tell(State state) {
  state_ = state;
  NotificationId id;
  io::fill_random(id.bytes);
  id_ = id.str();
  body_ = store_alarm_body(state == State::kFailing, id_, since_, loop_.now().wall, source_);
  told_at_ = loop_.now().mono;
  tries_ = 0;
  under_way_.reset();
  send();
}

void StoreAlarm::send() {
  again_.reset();
  ++tries_;
  under_way_ = post_(body_, id_, kSendDeadline, [this](const SendResult& r) { on_result(r); });
}

void StoreAlarm::on_result(const SendResult& result) {
  const auto done = std::move(under_way_);
  const bool old = loop_.now().mono - told_at_ >= kGiveUpAfter;
  if (result.kind == SendResult::Kind::kAccepted) {
    ++stats_.sent;
  } else if (result.kind == SendResult::Kind::kPermanent || old) {
    ++stats_.given_up;
    log::error("the fallback channel did not take that the store does not work",
               {{"answer", result.detail}, {"do", "correct fallback_channel in collector.yaml"}});
  } else {
    ++stats_.retried;
    log::warning("the fallback channel will be told again",
                 {{"answer", result.detail}, {"try", tries_}});
    again_ = loop_.after(
        std::max(outbox_backoff(tries_, rng_), result.retry_after.value_or(Duration{0})),
        [this] { send(); });
    return;
  }
  if (state_ == State::kBack) state_ = State::kQuiet;
}

}  // namespace tocsin::collector
