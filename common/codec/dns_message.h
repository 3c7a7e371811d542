#pragma once
// Question answered here: what bytes ask a DNS question, and what does the answer say?
//
// Strict and without I/O (RFC 1035, 3596, 2782, 8659, 9460, 6891). The work an answer can cause is
// bounded: compression pointers must point backwards, and all names of a message together may take
// kLabelStepsMax steps.

#include "common/base/bytes.h"
#include "common/base/expected.h"
#include "common/base/ip_address.h"
#include "common/model/monitor_spec.h"
#include "common/model/observation.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::dns {

inline constexpr std::size_t kAnswersMax = 64;  ///< Further answers are counted, not kept.
inline constexpr std::size_t kLabelStepsMax = 65536;
inline constexpr std::size_t kDataSizeMax = 1024;  ///< Presentation form of one record; cut.

struct Query {
  std::uint16_t id = 0;  ///< Unpredictable, from the caller.
  std::string name;      ///< With or without the final dot; "." is the root.
  DnsType type = DnsType::kA;
  bool recursion_desired = true;
  bool dnssec = false;  ///< AD, and DO if there is an OPT record (RFC 3225, RFC 6840 section 5.7).
  std::uint16_t udp_size = 1232;  ///< EDNS0 payload size; 0: no OPT record.
  std::uint16_t cls = 1;          ///< RFC 1035 section 3.2.4; 1: IN.
  bool all_sections = false;      ///< Keep authority and additional records too.
};

/// kInvalid when the name does not fit the DNS (labels of 1 to 63 bytes, 255 in all).
Expected<Bytes> encode_query(const Query& query);

struct Message {
  std::uint16_t rcode = 0;  ///< With the upper bits of EDNS0.
  bool truncated = false;
  bool authoritative = false;
  bool recursion_available = false;
  bool authentic_data = false;
  std::vector<DnsRecord> answers;       ///< Names in presentation form with the final dot.
  std::vector<DnsRecord> authorities;   ///< Only with Query::all_sections, as `additionals`: at
  std::vector<DnsRecord> additionals;   ///< most kAnswersMax each, without the OPT record.
  std::uint16_t answers_total = 0;      ///< As the header says.
  std::uint16_t authorities_total = 0;  ///< As the header says.
  std::uint16_t additionals_total = 0;  ///< As the header says, the OPT record included.
  std::uint32_t count = 0;  ///< Answers of the asked type, also those that were not kept.

  friend bool operator==(const Message&, const Message&) = default;
};

/// Whether these bytes answer that question: a response with the same id, opcode and question
/// (names compare without case). A server that could not read the question (FORMERR, NOTIMP and
/// the like) may leave it out. What does not match is to be ignored, not reported: anybody can
/// send a datagram.
bool is_answer_to(ByteSpan bytes, const Query& query);

/// kCorrupt with what is wrong at which byte. Of a truncated message (TC) the answers before the
/// cut are returned.
Expected<Message> decode_answer(ByteSpan bytes, const Query& query);

/// "192.0.2.1" is "1.2.0.192.in-addr.arpa" (RFC 1035 section 3.5), IPv6 the same below ip6.arpa
/// (RFC 3596 section 2.5).
std::string reverse_name(const IpAddress& address);

/// "NOERROR", "NXDOMAIN", or "RCODE23".
std::string rcode_name(std::uint16_t rcode);

}  // namespace tocsin::dns
