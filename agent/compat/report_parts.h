#pragma once
// Question answered here: which figures do the reports of several probers have in common?
//
// For the sources of agent/compat alone.

#include "agent/compat/probe_report.h"

#include <cstdint>

namespace tocsin::agent {

struct HttpFigures {
  bool looked_up = true;  ///< Else there are no phases but `resolve`.
  bool resolves = true;   ///< Else there is no phase `resolve`: a proxy does that.
  Duration resolve{0};
  std::uint64_t connect_us = 0;
  std::uint64_t tls_us = 0;
  std::uint64_t processing_us = 0;
  std::uint64_t transfer_us = 0;
  double content_length = 0;
  double body_length = 0;
  double redirects = 0;
  bool ssl = false;
  double status = 0;
  double version = 0;
  bool failed_due_to_regex = false;
};

struct DnsFigures {
  Duration resolve{0};
  std::uint64_t connect_us = 0;
  std::uint64_t request_us = 0;
  double answers = 0;
  double authorities = 0;
  double additionals = 0;
  bool succeeded = false;
};

double seconds(Duration d);
double seconds_of_us(std::uint64_t us);

void add_http(const HttpFigures& figures, MetricSheet& out);
void add_dns(const DnsFigures& figures, MetricSheet& out);
void add_failed_due_to_regex(bool failed, MetricSheet& out);

/// `verify`: the module wanted the chain verified, and it was.
void add_tls(const TlsFacts& tls, bool verify, MetricSheet& out);

ProbeVerdict failed(Reason reason, std::string detail);

/// Whether the attempt came as far as speaking the protocol, TLS included.
bool connected(const std::optional<Failure>& failure);

}  // namespace tocsin::agent
