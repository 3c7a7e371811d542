#pragma once
// Question answered here: how does a function say that the world failed?
//
// `Expected<T>` carries a value or an `Error`. A failed probe is not an error (it is an
// Observation), and a broken caller is not one either (that is a CHECK). This is the only file that
// names tl::expected, so that moving to std::expected stays a change of one file.

#include <fmt/core.h>
#include <tl/expected.hpp>

#include <string>
#include <utility>

namespace tocsin {

/// What kind of failure, for programs. Programs branch on it; people read `Error::text`.
enum class Errc {
  kInvalid,      ///< The input breaks a rule; the text says what, where, and what was expected.
  kNotFound,     ///< The named thing does not exist.
  kExists,       ///< It exists already, or changed meanwhile.
  kLimit,        ///< A named bound was reached.
  kIo,           ///< The operating system refused; the text has the call and errno's words.
  kNoSpace,      ///< The disk or the configured share of it is full.
  kCorrupt,      ///< Stored or received bytes fail their check.
  kTimeout,      ///< No answer in time; whether it happened is unknown.
  kUnavailable,  ///< Cannot now, may work later.
  kDenied,       ///< Not allowed.
  kUnsupported,  ///< Well-formed, but this build or version does not do it.
};

const char* to_string(Errc code);

/// `text` says what was attempted on what, in words a tired person can act on. No trailing dot.
struct Error {
  Errc code = Errc::kInvalid;
  std::string text;

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Expected = tl::expected<T, Error>;

using Unexpected = tl::unexpected<Error>;

/// `return fail(Errc::kIo, "open {}: {}", path, why);`
template <class... Args>
[[nodiscard]] Unexpected fail(Errc code, fmt::format_string<Args...> format, Args&&... args) {
  return Unexpected{Error{code, fmt::format(format, std::forward<Args>(args)...)}};
}

/// The failure of the last system call: "WHAT: strerror(errno)". ENOSPC and EDQUOT become kNoSpace,
/// everything else kIo.
[[nodiscard]] Unexpected fail_errno(std::string_view what, int errno_value);

}  // namespace tocsin

#define TOCSIN_CONCAT_TOKENS(a, b) a##b
#define TOCSIN_CONCAT(a, b) TOCSIN_CONCAT_TOKENS(a, b)

/// Evaluates an Expected<void> (or any Expected whose value does not matter); returns its error.
#define TRY(expr)                                                  \
  do {                                                             \
    auto tocsin_try_ = (expr);                                     \
    if (!tocsin_try_) {                                            \
      return ::tocsin::Unexpected{std::move(tocsin_try_).error()}; \
    }                                                              \
  } while (false)

/// `TRY_ASSIGN(const auto url, parse_url(text));`
#define TRY_ASSIGN(decl, expr)                                                            \
  auto TOCSIN_CONCAT(tocsin_try_, __LINE__) = (expr);                                     \
  if (!TOCSIN_CONCAT(tocsin_try_, __LINE__)) {                                            \
    return ::tocsin::Unexpected{std::move(TOCSIN_CONCAT(tocsin_try_, __LINE__)).error()}; \
  }                                                                                       \
  decl = *std::move(TOCSIN_CONCAT(tocsin_try_, __LINE__))  // NOLINT(*-macro-parentheses)
