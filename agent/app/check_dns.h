#pragma once
// Question answered here: which DNS monitor does a URL of `tocsin-agent check` mean?
//
//   dns://[SERVER]/NAME[?FIELD=VALUE[&FIELD=VALUE ...]]
//
//   type         A AAAA CNAME MX NS TXT SOA SRV PTR CAA HTTPS; A
//   transport    udp, tcp, tls; udp
//   server_name  tls: the certificate's name
//   ca           tls: a PEM file of roots
//   verify       tls: true, false; true
//   recursion    true, false; true
//   dnssec       true, false; false
//   rcode        what must be answered; NOERROR
//
// A field is the monitor's field of that name, `type` its `record`.

#include "common/base/expected.h"
#include "common/model/monitor_spec.h"

#include <string>

namespace tocsin::agent {

/// `url` begins with "dns://". Reads the file that `ca` names. The rules of a whole spec are not
/// checked here.
Expected<DnsTarget> parse_dns_url(const std::string& url);

}  // namespace tocsin::agent
