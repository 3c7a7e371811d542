#include "common/codec/dns_message.h"

#include "common/base/ip_address.h"
#include "common/base/strings.h"

#include <algorithm>
#include <array>

namespace tocsin::dns {

namespace {

constexpr std::size_t kHeaderSize = 12;
constexpr std::size_t kNameSizeMax = 255;
constexpr std::uint16_t kTypeOpt = 41;

constexpr std::uint16_t kFlagResponse = 0x8000;
constexpr std::uint16_t kOpcodeMask = 0x7800;
constexpr std::uint16_t kFlagAuthoritative = 0x0400;
constexpr std::uint16_t kFlagTruncated = 0x0200;
constexpr std::uint16_t kFlagRecursionDesired = 0x0100;
constexpr std::uint16_t kFlagRecursionAvailable = 0x0080;
constexpr std::uint16_t kFlagAuthentic = 0x0020;
constexpr std::uint16_t kFlagDnssecOk = 0x8000;  ///< In the OPT record's part.

constexpr std::array<const char*, 17> kRcodeNames{
    "NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
    "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE", "DSOTYPENI",
    nullptr,    nullptr,   nullptr,    nullptr,    "BADVERS"};

void put_u16(Bytes& out, std::uint16_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

/// The wire form of a plain name, lower case: what a question's name is compared with.
Expected<Bytes> encode_name(std::string_view name) {
  Bytes out;
  std::string_view rest = name;
  if (rest.ends_with('.')) rest.remove_suffix(1);
  if (rest.empty() && name != ".") return fail(Errc::kInvalid, "expected a domain name");
  for (const std::string_view label : split(rest, '.')) {
    if (rest.empty()) break;
    if (label.empty() || label.size() > 63) {
      return fail(Errc::kInvalid, "'{}' is not a domain name: labels have 1 to 63 bytes",
                  printable(name, 100));
    }
    out += static_cast<char>(label.size());
    out += label;
  }
  out += '\0';
  if (out.size() > kNameSizeMax) {
    return fail(Errc::kInvalid, "'{}' is not a domain name: longer than 255 bytes",
                printable(name, 100));
  }
  return out;
}

/// RFC 1035 section 5.1: what has a meaning is escaped with a backslash, what is not printable
/// ASCII with three decimal digits.
void append_escaped(std::string& out, std::uint8_t byte, std::string_view special) {
  const char c = static_cast<char>(byte);
  if (byte < 0x21 || byte > 0x7e) {
    if (byte == ' ' && special.find('.') == std::string_view::npos) {
      out += ' ';
    } else {
      out += fmt::format("\\{:03}", byte);
    }
  } else {
    if (special.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
}

/// Reads big-endian fields; fails for good at the first read past the end.
class Reader {
 public:
  explicit Reader(ByteSpan message)
      : message_(message),
        end_(message.size()) {}

  /// The same message and budget, limited to [at, at + size).
  Reader part(std::size_t size) {
    Reader out = *this;
    out.end_ = std::min(end_, at_ + size);
    return out;
  }

  bool ok() const { return ok_; }

  std::size_t at() const { return at_; }

  std::size_t left() const { return end_ - at_; }

  std::size_t steps() const { return steps_; }

  void set_steps(std::size_t steps) { steps_ = steps; }

  void fail_here() { ok_ = false; }

  std::uint8_t u8() {
    if (!need(1)) return 0;
    return message_[at_++];
  }

  std::uint16_t u16() {
    const auto high = static_cast<std::uint16_t>(u8() << 8);
    return static_cast<std::uint16_t>(high | u8());
  }

  std::uint32_t u32() {
    const auto high = static_cast<std::uint32_t>(u16()) << 16;
    return high | u16();
  }

  ByteSpan take(std::size_t n) {
    if (!need(n)) return {};
    const ByteSpan out = message_.subspan(at_, n);
    at_ += n;
    return out;
  }

  void skip(std::size_t n) { take(n); }

  /// A possibly compressed name in presentation form with the final dot.
  std::string name(bool may_compress = true) {
    std::string out;
    std::size_t wire_size = 1;
    std::size_t at = at_;
    std::size_t lowest = at_;  // Pointers must go below every place this name has been.
    bool jumped = false;
    while (ok_) {
      if (++steps_ > kLabelStepsMax || at >= (jumped ? message_.size() : end_)) break;
      const std::uint8_t length = message_[at];
      if (length == 0) {
        if (!jumped) at_ = at + 1;
        return out.empty() ? "." : out;
      }
      if ((length & 0xc0) == 0xc0) {
        if (!may_compress || at + 1 >= (jumped ? message_.size() : end_)) break;
        const std::size_t target =
            (static_cast<std::size_t>(length & 0x3f) << 8) | message_[at + 1];
        if (target >= lowest || target < kHeaderSize) break;
        if (!jumped) at_ = at + 2;
        jumped = true;
        lowest = target;
        at = target;
        continue;
      }
      if ((length & 0xc0) != 0 || at + 1 + length > (jumped ? message_.size() : end_)) break;
      wire_size += length + 1U;
      if (wire_size > kNameSizeMax) break;
      for (std::size_t i = at + 1; i <= at + length; ++i) {
        append_escaped(out, message_[i], ".\\\"();@$");
      }
      out += '.';
      at += length + 1U;
    }
    ok_ = false;
    return {};
  }

 private:
  bool need(std::size_t n) {
    ok_ = ok_ && end_ - at_ >= n;
    return ok_;
  }

  ByteSpan message_;
  std::size_t at_ = 0;
  std::size_t end_;
  std::size_t steps_ = 0;
  bool ok_ = true;
};

std::string character_string(ByteSpan bytes) {
  std::string out = "\"";
  for (const std::uint8_t byte : bytes) append_escaped(out, byte, "\"\\");
  return out + '"';
}

std::string address_text(ByteSpan bytes) {
  if (bytes.size() == 4) return IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]}).str();
  std::array<std::uint8_t, 16> sixteen{};
  std::copy(bytes.begin(), bytes.end(), sixteen.begin());
  return IpAddress::v6(sixteen).str();
}

std::string address(Reader& data, std::size_t size) {
  const ByteSpan bytes = data.take(size);
  return data.ok() ? address_text(bytes) : std::string{};
}

std::string texts(Reader& data) {
  std::string out;
  do {
    const ByteSpan text = data.take(data.u8());
    if (!out.empty()) out += ' ';
    out += character_string(text);
  } while (data.ok() && data.left() > 0);
  return out;
}

std::string soa(Reader& data) {
  std::string out = data.name();
  out += ' ' + data.name();
  for (int i = 0; i < 5; ++i) out += fmt::format(" {}", data.u32());
  return out;
}

std::string caa(Reader& data) {
  const std::uint8_t flags = data.u8();
  const ByteSpan tag = data.take(data.u8());
  const bool alnum = !tag.empty() && std::all_of(tag.begin(), tag.end(), [](std::uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
  if (!alnum) data.fail_here();
  return fmt::format("{} {} {}", flags, as_view(tag), character_string(data.take(data.left())));
}

std::string addresses(ByteSpan value, std::size_t size, bool& ok) {
  ok = ok && !value.empty() && value.size() % size == 0;
  std::string out;
  for (std::size_t at = 0; ok && at < value.size(); at += size) {
    if (at > 0) out += ',';
    out += address_text(value.subspan(at, size));
  }
  return out;
}

std::string alpn(ByteSpan value, bool& ok) {
  std::string out = "\"";
  for (std::size_t at = 0; at < value.size();) {
    const std::size_t length = value[at];
    ok = ok && length > 0 && at + 1 + length <= value.size();
    if (!ok) return {};
    if (at > 0) out += ',';
    for (std::size_t i = at + 1; i <= at + length; ++i) append_escaped(out, value[i], "\"\\,");
    at += length + 1;
  }
  ok = ok && !value.empty();
  return out + '"';
}

/// RFC 9460 section 2.1.
std::string service_parameter(std::uint16_t key, ByteSpan value, bool& ok) {
  static constexpr std::array<const char*, 7> kKeys{"mandatory", "alpn", "no-default-alpn", "port",
                                                    "ipv4hint",  "ech",  "ipv6hint"};
  std::string name = key < kKeys.size() ? kKeys[key] : fmt::format("key{}", key);
  switch (key) {
    case 0: {
      ok = ok && !value.empty() && value.size() % 2 == 0;
      std::string list;
      for (std::size_t at = 0; ok && at < value.size(); at += 2) {
        const auto k = static_cast<std::size_t>(value[at]) << 8 | value[at + 1];
        if (at > 0) list += ',';
        list += k < kKeys.size() ? kKeys[k] : fmt::format("key{}", k);
      }
      return name + "=" + list;
    }
    case 1:
      return name + "=" + alpn(value, ok);
    case 2:
      ok = ok && value.empty();
      return name;
    case 3:
      ok = ok && value.size() == 2;
      return ok ? fmt::format("{}={}", name, value[0] << 8 | value[1]) : name;
    case 4:
      return name + "=" + addresses(value, 4, ok);
    case 5:
      return name + "=" + to_base64(value);
    case 6:
      return name + "=" + addresses(value, 16, ok);
    default:
      return value.empty() ? name : name + "=" + character_string(value);
  }
}

std::string https(Reader& data) {
  const std::uint16_t priority = data.u16();
  std::string out = fmt::format("{} {}", priority, data.name(false));
  int last_key = -1;
  while (data.ok() && data.left() > 0) {
    const std::uint16_t key = data.u16();
    const ByteSpan value = data.take(data.u16());
    bool ok = data.ok() && key > last_key;  // Keys come in strictly rising order.
    last_key = key;
    if (ok) out += ' ' + service_parameter(key, value, ok);
    if (!ok) data.fail_here();
  }
  return out;
}

/// RFC 3597 section 5, for types we do not know.
std::string unknown_type(Reader& data) {
  const ByteSpan bytes = data.take(data.left());
  return bytes.empty() ? "\\# 0" : fmt::format("\\# {} {}", bytes.size(), to_hex(bytes));
}

/// Reads exactly the data of one record; `data` has failed or is at its end afterwards.
std::string presentation(DnsType type, Reader& data) {
  switch (type) {
    case DnsType::kA:
      return address(data, 4);
    case DnsType::kAaaa:
      return address(data, 16);
    case DnsType::kNs:
    case DnsType::kCname:
    case DnsType::kPtr:
      return data.name();
    case DnsType::kMx: {
      const std::uint16_t preference = data.u16();
      return fmt::format("{} {}", preference, data.name());
    }
    case DnsType::kTxt:
      return texts(data);
    case DnsType::kSoa:
      return soa(data);
    case DnsType::kSrv: {
      const std::uint16_t priority = data.u16();
      const std::uint16_t weight = data.u16();
      const std::uint16_t port = data.u16();
      return fmt::format("{} {} {} {}", priority, weight, port, data.name());
    }
    case DnsType::kCaa:
      return caa(data);
    case DnsType::kHttps:
      return https(data);
  }
  return unknown_type(data);
}

struct RecordHead {
  std::string name;
  std::uint16_t type = 0;
  std::uint16_t cls = 0;
  std::uint32_t ttl = 0;
  std::uint16_t size = 0;
};

RecordHead record_head(Reader& in) {
  RecordHead out;
  out.name = in.name();
  out.type = in.u16();
  out.cls = in.u16();
  out.ttl = in.u32();
  out.size = in.u16();
  if (in.left() < out.size) in.fail_here();
  return out;
}

Unexpected corrupt(const Reader& in, std::string_view what) {
  return fail(Errc::kCorrupt, "DNS answer: {} at byte {}", what, in.at() + 1);
}

/// The record behind `head`, or what is wrong with it.
Expected<DnsRecord> read_record(Reader& in, const RecordHead& head, std::string_view what,
                                unsigned number) {
  Reader data = in.part(head.size);
  const auto type = static_cast<DnsType>(head.type);
  const std::string text = presentation(type, data);
  if (!data.ok() || data.left() != 0) {
    return corrupt(in, fmt::format("the data of {} {} ({}) is malformed", what, number,
                                   record_type_name(type)));
  }
  in.set_steps(data.steps());
  in.skip(head.size);
  return DnsRecord{printable(head.name, kDataSizeMax), type, head.ttl,
                   printable(text, kDataSizeMax)};
}

Expected<void> read_answers(Reader& in, std::uint16_t count, const Query& query, Message& out) {
  for (unsigned i = 1; i <= count; ++i) {
    const RecordHead head = record_head(in);
    if (!in.ok()) return corrupt(in, fmt::format("answer {} is malformed", i));
    TRY_ASSIGN(DnsRecord record, read_record(in, head, "answer", i));
    if (head.cls != query.cls) continue;
    if (record.type == query.type) ++out.count;
    if (out.answers.size() < kAnswersMax) out.answers.push_back(std::move(record));
  }
  return {};
}

/// Authority and additional records: unless somebody wants them all, only the OPT record says
/// something we report.
Expected<void> read_rest(Reader& in, unsigned authorities, unsigned count, const Query& query,
                         Message& out) {
  bool has_opt = false;
  for (unsigned i = 0; i < count; ++i) {
    const RecordHead head = record_head(in);
    if (!in.ok()) return corrupt(in, "a record after the answers is malformed");
    if (head.type == kTypeOpt) {
      in.skip(head.size);
      if (has_opt || head.name != ".") {
        return corrupt(in, "the OPT record is not alone or not rooted");
      }
      has_opt = true;
      out.rcode = static_cast<std::uint16_t>(out.rcode | ((head.ttl >> 24) << 4));
    } else if (query.all_sections) {
      TRY_ASSIGN(DnsRecord record, read_record(in, head, "record", i + 1));
      auto& section = i < authorities ? out.authorities : out.additionals;
      if (head.cls == query.cls && section.size() < kAnswersMax) {
        section.push_back(std::move(record));
      }
    } else {
      in.skip(head.size);
    }
  }
  if (in.left() != 0) return corrupt(in, fmt::format("{} bytes after the end", in.left()));
  return {};
}

struct Header {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::uint16_t questions = 0;
  std::uint16_t answers = 0;
  std::uint16_t authorities = 0;
  std::uint16_t additionals = 0;
};

Header read_header(Reader& in) {
  Header out;
  out.id = in.u16();
  out.flags = in.u16();
  out.questions = in.u16();
  out.answers = in.u16();
  out.authorities = in.u16();
  out.additionals = in.u16();
  return out;
}

/// Header and question; false unless they answer `query`.
bool read_start(Reader& in, const Query& query, Header& header) {
  header = read_header(in);
  if (!in.ok() || header.id != query.id || (header.flags & kFlagResponse) == 0 ||
      (header.flags & kOpcodeMask) != 0 || header.questions > 1) {
    return false;
  }
  if (header.questions == 0) return (header.flags & 0xf) != 0 && header.answers == 0;
  const auto expected = encode_name(query.name);
  if (!expected) return false;
  Reader asked{as_bytes(*expected)};
  const std::string wanted = asked.name(false);
  const std::string echoed = in.name(false);
  const std::uint16_t type = in.u16();
  const std::uint16_t cls = in.u16();
  return in.ok() && type == static_cast<std::uint16_t>(query.type) && cls == query.cls &&
         iequals(echoed, wanted);
}

}  // namespace

Expected<Bytes> encode_query(const Query& query) {
  TRY_ASSIGN(const Bytes name, encode_name(query.name));
  Bytes out;
  out.reserve(kHeaderSize + name.size() + 15);
  put_u16(out, query.id);
  put_u16(out, static_cast<std::uint16_t>((query.recursion_desired ? kFlagRecursionDesired : 0) |
                                          (query.dnssec ? kFlagAuthentic : 0)));
  put_u16(out, 1);
  put_u16(out, 0);
  put_u16(out, 0);
  put_u16(out, query.udp_size > 0 ? 1 : 0);
  out += name;
  put_u16(out, static_cast<std::uint16_t>(query.type));
  put_u16(out, query.cls);
  if (query.udp_size > 0) {
    out += '\0';  // The root.
    put_u16(out, kTypeOpt);
    put_u16(out, query.udp_size);
    put_u16(out, 0);  // Extended rcode and version.
    put_u16(out, query.dnssec ? kFlagDnssecOk : 0);
    put_u16(out, 0);  // No options.
  }
  return out;
}

bool is_answer_to(ByteSpan bytes, const Query& query) {
  Reader in{bytes};
  Header header;
  return read_start(in, query, header);
}

Expected<Message> decode_answer(ByteSpan bytes, const Query& query) {
  Reader in{bytes};
  Header header;
  if (!read_start(in, query, header)) {
    return fail(Errc::kCorrupt, "DNS answer: id or question is not ours");
  }
  Message out;
  out.rcode = header.flags & 0xf;
  out.truncated = (header.flags & kFlagTruncated) != 0;
  out.authoritative = (header.flags & kFlagAuthoritative) != 0;
  out.recursion_available = (header.flags & kFlagRecursionAvailable) != 0;
  out.authentic_data = (header.flags & kFlagAuthentic) != 0;
  out.answers_total = header.answers;
  out.authorities_total = header.authorities;
  out.additionals_total = header.additionals;
  auto read = read_answers(in, header.answers, query, out);
  if (read) {
    read =
        read_rest(in, header.authorities, 0U + header.authorities + header.additionals, query, out);
  }
  if (!read && !out.truncated) return Unexpected{std::move(read).error()};
  return out;
}

std::string reverse_name(const IpAddress& address) {
  std::string out;
  const ByteSpan bytes = as_bytes(address.bytes());
  for (std::size_t i = bytes.size(); i-- > 0;) {
    if (address.is_v4()) {
      out += fmt::format("{}.", bytes[i]);
    } else {
      out += fmt::format("{:x}.{:x}.", bytes[i] & 0xf, bytes[i] >> 4);
    }
  }
  return out + (address.is_v4() ? "in-addr.arpa" : "ip6.arpa");
}

std::string rcode_name(std::uint16_t rcode) {
  const char* name = rcode < kRcodeNames.size() ? kRcodeNames[rcode] : nullptr;
  return name != nullptr ? name : fmt::format("RCODE{}", rcode);
}

}  // namespace tocsin::dns
