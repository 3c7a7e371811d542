#include "common/io/event_loop.h"

#include "common/base/check.h"

#include <event2/event.h>

#include <algorithm>

namespace tocsin::io {

namespace {

short to_events(Interest interest) {
  short events = EV_PERSIST;
  if (has(interest, Interest::kRead)) events = static_cast<short>(events | EV_READ);
  if (has(interest, Interest::kWrite)) events = static_cast<short>(events | EV_WRITE);
  return events;
}

timeval to_timeval(Duration d) {
  return {.tv_sec = d.count() / 1'000'000, .tv_usec = d.count() % 1'000'000};
}

}  // namespace

// --- Watch ---

Watch::Watch(EventLoop& loop, int fd, Interest interest, Callback callback)
    : loop_(loop),
      event_(event_new(loop.base_, fd, to_events(interest), &Watch::trampoline, this)),
      callback_(std::move(callback)),
      fd_(fd) {
  CHECK(fd >= 0);
  CHECK(event_ != nullptr);
  ++loop_.watches_;
  if (interest != Interest::kNone) {
    CHECK(event_add(event_, nullptr) == 0);
    interest_ = interest;
  }
}

Watch::~Watch() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  event_free(event_);  // Also removes it from the base.
  --loop_.watches_;
}

void Watch::set(Interest interest) {
  if (interest == interest_) return;
  if (interest_ != Interest::kNone) event_del(event_);
  interest_ = interest;
  if (interest == Interest::kNone) return;
  CHECK(event_assign(event_, loop_.base_, fd_, to_events(interest), &Watch::trampoline, this) == 0);
  CHECK(event_add(event_, nullptr) == 0);
}

void Watch::trampoline(int /*fd*/, short what, void* self) {
  Interest ready = Interest::kNone;
  if ((what & EV_READ) != 0) ready = ready | Interest::kRead;
  if ((what & EV_WRITE) != 0) ready = ready | Interest::kWrite;
  auto* watch = static_cast<Watch*>(self);
  watch->loop_.note_busy();
  watch->on_ready(ready);
}

void Watch::on_ready(Interest ready) {
  // The callback may destroy this object, and with it the function that is running: it runs from
  // the stack and goes back only if the object is still there.
  bool destroyed = false;
  destroyed_ = &destroyed;
  Callback callback = std::move(callback_);
  callback(ready);
  if (destroyed) return;
  destroyed_ = nullptr;
  callback_ = std::move(callback);
}

// --- Timer ---

Timer::Timer(EventLoop& loop, MonoTime due, std::uint64_t order, std::function<void()> callback)
    : loop_(loop),
      due_(due),
      key_(due),
      order_(order),
      callback_(std::move(callback)) {}

Timer::~Timer() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  if (armed()) loop_.remove_timer(*this);
}

void Timer::set(MonoTime due) {
  due_ = due;
  if (!armed()) {
    key_ = due;
    order_ = loop_.next_order_++;
    loop_.add_timer(*this);
  } else if (due < key_) {
    key_ = due;
    loop_.sift_up(index_);
  }
}

void Timer::fire() {
  // As Watch::on_ready: the callback may destroy this object and with it itself.
  bool destroyed = false;
  destroyed_ = &destroyed;
  std::function<void()> callback = std::move(callback_);
  callback();
  if (destroyed) return;
  destroyed_ = nullptr;
  callback_ = std::move(callback);
}

// --- EventLoop ---

EventLoop::EventLoop(Clock& clock)
    : clock_(clock),
      posted_(kPostedMax) {
  event_config* config = event_config_new();
  CHECK(config != nullptr);
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
  base_ = event_base_new_with_config(config);
  event_config_free(config);
  CHECK(base_ != nullptr);
  // Only bounds how long epoll waits; due timers are fired after the turn.
  sleep_timer_ = event_new(
      base_, -1, 0, [](int, short, void*) {}, nullptr);
  CHECK(sleep_timer_ != nullptr);
  posted_watch_ = watch(posted_.fd(), Interest::kRead, [this](Interest) { run_posted(); });
}

EventLoop::~EventLoop() {
  posted_watch_.reset();
  CHECK(heap_.empty());
  CHECK(watches_ == 0);
  event_free(sleep_timer_);
  event_base_free(base_);
}

Now EventLoop::now() {
  if (!in_turn_) return clock_.now();
  if (!now_fresh_) {
    now_ = clock_.now();
    now_fresh_ = true;
  }
  return now_;
}

WatchHandle EventLoop::watch(int fd, Interest interest, Watch::Callback callback) {
  return WatchHandle(new Watch(*this, fd, interest, std::move(callback)));
}

TimerHandle EventLoop::at(MonoTime due, std::function<void()> callback) {
  TimerHandle timer(new Timer(*this, due, next_order_++, std::move(callback)));
  add_timer(*timer);
  return timer;
}

TimerHandle EventLoop::after(Duration delay, std::function<void()> callback) {
  return at(now().mono + delay, std::move(callback));
}

void EventLoop::post(std::function<void()> function) { CHECK(posted_.push(std::move(function))); }

void EventLoop::run() {
  while (!stop_.exchange(false)) run_once(kSleepMax);
}

void EventLoop::run_once(Duration at_most) {
  CHECK(!in_turn_);  // A callback must not run the loop again.
  Duration wait = std::min(at_most, kSleepMax);
  settle_first();
  if (!heap_.empty()) wait = std::min(wait, heap_.front()->due_ - clock_.now().mono);
  in_turn_ = true;
  now_fresh_ = false;
  ++turn_;
  // NONBLOCK alone would go on as long as anything is ready; ONCE ends it after one round.
  int flags = EVLOOP_ONCE | EVLOOP_NONBLOCK;
  if (wait > Duration::zero()) {
    flags = EVLOOP_ONCE;
    const timeval tv = to_timeval(wait);
    CHECK(event_add(sleep_timer_, &tv) == 0);
  }
  CHECK(event_base_loop(base_, flags) >= 0);
  fire_timers();
  end_turn();
  in_turn_ = false;
}

void EventLoop::note_busy() {
  if (!busy_since_) busy_since_ = latency_clock();
}

void EventLoop::end_turn() {
  if (!busy_since_) return;
  const Duration busy = latency_clock() - *busy_since_;
  busy_since_.reset();
  ++stats_.turns;
  stats_.busy_sum += busy;
  stats_.busy_max = std::max(stats_.busy_max, busy);
  stall_max_ = std::max(stall_max_, busy);
  const auto* const bucket =
      std::lower_bound(LoopStats::kBounds.begin(), LoopStats::kBounds.end(), busy);
  ++stats_.buckets.at(static_cast<std::size_t>(bucket - LoopStats::kBounds.begin()));
}

void EventLoop::stop() {
  stop_.store(true);
  post([] {});  // Wakes the loop.
}

void EventLoop::run_posted() {
  // What these functions post runs in the next turn, so that a function that posts itself cannot
  // starve the sockets.
  for (std::size_t n = posted_.size(); n > 0; --n) {
    auto function = posted_.try_pop();
    if (!function) return;
    (*function)();
  }
}

void EventLoop::settle_first() {
  while (!heap_.empty() && heap_.front()->key_ < heap_.front()->due_) {
    heap_.front()->key_ = heap_.front()->due_;
    sift_down(0);
  }
}

void EventLoop::fire_timers() {
  settle_first();
  if (heap_.empty()) return;
  const MonoTime now = this->now().mono;
  const std::uint64_t limit = next_order_;  // Timers made meanwhile wait for the next turn.
  while (!heap_.empty() && heap_.front()->due_ <= now && heap_.front()->order_ < limit) {
    note_busy();
    Timer& timer = *heap_.front();
    remove_timer(timer);
    timer.fire();  // May destroy it.
    settle_first();
  }
}

bool EventLoop::earlier(const Timer& a, const Timer& b) {
  return a.key_ != b.key_ ? a.key_ < b.key_ : a.order_ < b.order_;
}

void EventLoop::place(std::size_t index, Timer* timer) {
  heap_[index] = timer;
  timer->index_ = index;
}

void EventLoop::add_timer(Timer& timer) {
  heap_.push_back(&timer);
  timer.index_ = heap_.size() - 1;
  sift_up(timer.index_);
}

void EventLoop::remove_timer(Timer& timer) {
  const std::size_t index = timer.index_;
  CHECK(index < heap_.size() && heap_[index] == &timer);
  timer.index_ = Timer::kIdle;
  Timer* last = heap_.back();
  heap_.pop_back();
  if (last == &timer) return;
  place(index, last);
  sift_up(index);
  sift_down(last->index_);
}

void EventLoop::sift_up(std::size_t index) {
  Timer* timer = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (!earlier(*timer, *heap_[parent])) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, timer);
}

void EventLoop::sift_down(std::size_t index) {
  Timer* timer = heap_[index];
  while (true) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && earlier(*heap_[child + 1], *heap_[child])) ++child;
    if (!earlier(*heap_[child], *timer)) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, timer);
}

}  // namespace tocsin::io
