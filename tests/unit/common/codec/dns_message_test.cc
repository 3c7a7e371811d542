#include "common/codec/dns_message.h"

#include <gtest/gtest.h>

namespace tocsin::dns {
namespace {

std::string u16(unsigned v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }

std::string u32(unsigned v) { return u16(v >> 16) + u16(v & 0xffff); }

std::string wire_name(std::string_view dotted) {
  std::string out;
  while (!dotted.empty()) {
    const std::size_t dot = std::min(dotted.find('.'), dotted.size());
    out += static_cast<char>(dot);
    out += dotted.substr(0, dot);
    dotted.remove_prefix(std::min(dot + 1, dotted.size()));
  }
  return out + '\0';
}

const std::string kPointerToQuestion = "\xc0\x0c";

std::string record(const std::string& name, unsigned type, unsigned ttl, const std::string& data,
                   unsigned cls = 1) {
  return name + u16(type) + u16(cls) + u32(ttl) + u16(static_cast<unsigned>(data.size())) + data;
}

struct Sections {
  unsigned answers = 0;
  unsigned authorities = 0;
  unsigned additionals = 0;
};

/// A response to `query` with these flags and whatever follows the question.
std::string response(const Query& query, unsigned flags, Sections counts, const std::string& rest) {
  return u16(query.id) + u16(0x8180 | flags) + u16(1) + u16(counts.answers) +
         u16(counts.authorities) + u16(counts.additionals) + wire_name(query.name) +
         u16(static_cast<unsigned>(query.type)) + u16(1) + rest;
}

Query ask(DnsType type) { return {.id = 0x1234, .name = "example.com", .type = type}; }

/// The presentation of one record of the asked type, or the error's text.
std::string shown(DnsType type, const std::string& data) {
  const Query query = ask(type);
  const auto decoded = decode_answer(
      as_bytes(response(query, 0, {.answers = 1},
                        record(kPointerToQuestion, static_cast<unsigned>(type), 60, data))),
      query);
  return decoded ? decoded->answers.at(0).data : decoded.error().text;
}

TEST(DnsMessage, EncodesAQuestionWithEdns) {
  EXPECT_EQ(*encode_query({.id = 0xbeef, .name = "a.example.", .type = DnsType::kAaaa}),
            u16(0xbeef) + u16(0x0100) + u16(1) + u16(0) + u16(0) + u16(1) + wire_name("a.example") +
                u16(28) + u16(1) + std::string(1, '\0') + u16(41) + u16(1232) +
                std::string(6, '\0'));
  const Query plain{
      .id = 1, .name = ".", .type = DnsType::kNs, .recursion_desired = false, .udp_size = 0};
  EXPECT_EQ(*encode_query(plain), u16(1) + u16(0) + u16(1) + u16(0) + u16(0) + u16(0) +
                                      std::string(1, '\0') + u16(2) + u16(1));
}

TEST(DnsMessage, AsksForValidatedDataInTheHeaderAndInTheOptRecord) {
  const Query query{.id = 1, .name = ".", .type = DnsType::kNs, .dnssec = true};
  EXPECT_EQ(*encode_query(query), u16(1) + u16(0x0120) + u16(1) + u16(0) + u16(0) + u16(1) +
                                      std::string(1, '\0') + u16(2) + u16(1) +
                                      std::string(1, '\0') + u16(41) + u16(1232) + u16(0) +
                                      u16(0x8000) + u16(0));
}

TEST(DnsMessage, TurnsAddressesRound) {
  EXPECT_EQ(reverse_name(*IpAddress::parse("192.0.2.1")), "1.2.0.192.in-addr.arpa");
  EXPECT_EQ(reverse_name(*IpAddress::parse("2001:db8::f1")),
            "1.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

TEST(DnsMessage, AnswersThatAreNotKeptAreCountedByTheirType) {
  const Query query = ask(DnsType::kA);
  std::string rest = record(kPointerToQuestion, 5, 60, kPointerToQuestion);
  for (int i = 0; i < 100; ++i) rest += record(kPointerToQuestion, 1, 60, "abcd");
  rest += record(kPointerToQuestion, 1, 60, "abcd", 3);  // Another class.
  const auto decoded = decode_answer(as_bytes(response(query, 0, {.answers = 102}, rest)), query);
  ASSERT_TRUE(decoded) << decoded.error().text;
  EXPECT_EQ(decoded->answers.size(), kAnswersMax);
  EXPECT_EQ(decoded->answers_total, 102);
  EXPECT_EQ(decoded->count, 100U);
}

TEST(DnsMessage, RefusesNamesThatDoNotFit) {
  for (const std::string& name :
       {std::string{}, std::string{"a..b"}, std::string{".a"}, std::string(64, 'a') + ".b",
        std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." +
            std::string(63, 'd')}) {
    EXPECT_FALSE(encode_query({.id = 1, .name = name})) << name;
  }
}

TEST(DnsMessage, ReadsAChainWithCompression) {
  const Query query = ask(DnsType::kA);
  const std::string alias = std::string{"\x03www"} + kPointerToQuestion;
  const std::string rest = record(kPointerToQuestion, 5, 300, alias) +
                           record(alias, 1, 60, std::string("\xc0\x00\x02\x01", 4)) +
                           record(std::string(1, '\0'), 41, 0, "", 1232);
  const auto decoded = decode_answer(
      as_bytes(response(query, 0x0420, {.answers = 2, .additionals = 1}, rest)), query);
  ASSERT_TRUE(decoded) << decoded.error().text;
  Message expected;
  expected.authoritative = true;
  expected.recursion_available = true;
  expected.authentic_data = true;
  expected.answers_total = 2;
  expected.additionals_total = 1;
  expected.count = 1;
  expected.answers = {{"example.com.", DnsType::kCname, 300, "www.example.com."},
                      {"www.example.com.", DnsType::kA, 60, "192.0.2.1"}};
  EXPECT_EQ(*decoded, expected);
}

TEST(DnsMessage, ShowsEveryTypeInPresentationForm) {
  EXPECT_EQ(shown(DnsType::kAaaa, std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16)),
            "2001:db8::1");
  EXPECT_EQ(shown(DnsType::kNs, wire_name("ns1.example.net")), "ns1.example.net.");
  EXPECT_EQ(shown(DnsType::kMx, u16(10) + wire_name("mx.example.net")), "10 mx.example.net.");
  EXPECT_EQ(shown(DnsType::kTxt, "\x05hello\x03\"\\\x01"), R"("hello" "\"\\\001")");
  EXPECT_EQ(shown(DnsType::kTxt, std::string("\x03"
                                             "a b\0",
                                             5)),
            R"("a b" "")");
  EXPECT_EQ(shown(DnsType::kSoa, wire_name("ns.a") + wire_name("root.a") + u32(1) + u32(2) +
                                     u32(3) + u32(4) + u32(5)),
            "ns.a. root.a. 1 2 3 4 5");
  EXPECT_EQ(shown(DnsType::kSrv, u16(1) + u16(2) + u16(443) + wire_name("s.a")), "1 2 443 s.a.");
  EXPECT_EQ(shown(DnsType::kPtr, wire_name("h.a")), "h.a.");
  EXPECT_EQ(shown(DnsType::kCaa, std::string("\0\x05issue", 7) + "ca.example"),
            "0 issue \"ca.example\"");
  EXPECT_EQ(shown(DnsType::kHttps, u16(1) + std::string(1, '\0') + u16(1) + u16(6) +
                                       "\x02h2\x02h3" + u16(3) + u16(2) + u16(8443) + u16(4) +
                                       u16(4) + std::string("\xc0\0\x02\x07", 4)),
            R"(1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.7)");
  EXPECT_EQ(shown(static_cast<DnsType>(99), "\x01\x02"), "\\# 2 0102");
}

TEST(DnsMessage, EscapesHostileNames) {
  EXPECT_EQ(shown(DnsType::kNs, std::string("\x05"
                                            "a.b\n\x1b\x01;\0",
                                            9)),
            "a\\.b\\010\\027.\\;.");
  EXPECT_EQ(shown(DnsType::kNs, std::string("\x02\xff \0", 4)), "\\255\\032.");
}

TEST(DnsMessage, RefusesDataThatIsShorterOrLongerThanItsType) {
  const std::pair<DnsType, std::string> rows[] = {
      {DnsType::kA, "abc"},
      {DnsType::kA, "abcde"},
      {DnsType::kAaaa, std::string(15, 'a')},
      {DnsType::kMx, u16(1)},
      {DnsType::kMx, u16(1) + wire_name("a") + "x"},
      {DnsType::kTxt, ""},
      {DnsType::kTxt, "\x05hell"},
      {DnsType::kSoa, wire_name("a") + wire_name("b") + u32(1)},
      {DnsType::kCaa, std::string("\0\0", 2)},
      {DnsType::kCaa, std::string("\0\x05is", 4)},
      {DnsType::kHttps, u16(1) + kPointerToQuestion},
      {DnsType::kHttps, u16(1) + std::string(1, '\0') + u16(3) + u16(1) + "x"},
      {DnsType::kHttps, u16(1) + std::string(1, '\0') + u16(1) + u16(3) + "\x05h2"},
      {DnsType::kHttps, u16(1) + std::string(1, '\0') + u16(4) + u16(0) + u16(4) + u16(0)},
      {DnsType::kNs,
       "\x05"
       "ab"},
      {DnsType::kNs,
       "\x41"
       "a"},
  };
  for (const auto& [type, data] : rows) {
    EXPECT_TRUE(shown(type, data).starts_with("DNS answer: the data of answer 1"))
        << to_string(type);
  }
}

TEST(DnsMessage, CompressionCannotLoopOrPointForwards) {
  const Query query = ask(DnsType::kNs);
  const auto start = static_cast<unsigned>(response(query, 0, {}, "").size());
  const auto refused = [&](const std::string& name) {
    const std::string bytes =
        response(query, 0, {.answers = 1}, record(name, 2, 1, wire_name("a")));
    return !decode_answer(as_bytes(bytes), query).has_value();
  };
  EXPECT_TRUE(refused(u16(0xc000 | start)));        // To itself.
  EXPECT_TRUE(refused(u16(0xc000 | (start + 4))));  // Forwards.
  EXPECT_TRUE(
      refused("\x01"
              "a" +
              u16(0xc000 | start)));  // To its own start.
  EXPECT_TRUE(refused(u16(0xc000)));  // Into the header.
  EXPECT_TRUE(refused(u16(0xffff)));  // Past the end.
  EXPECT_FALSE(
      refused("\x01"
              "a" +
              kPointerToQuestion));
}

TEST(DnsMessage, NamesLongerThan255BytesAreRefusedEvenWhenCompressed) {
  // Each record's name is one label of 63 in front of the one before: the fourth is too long.
  const Query query = ask(DnsType::kNs);
  std::string rest;
  std::string pointer = kPointerToQuestion;
  bool decoded_all = true;
  for (unsigned n = 1; n <= 4; ++n) {
    const auto at = static_cast<unsigned>(response(query, 0, {}, rest).size());
    rest += record("\x3f" + std::string(63, 'x') + pointer, 2, 1, wire_name("a"));
    pointer = u16(0xc000 | at);
    const std::string bytes = response(query, 0, {.answers = n}, rest);
    decoded_all = decode_answer(as_bytes(bytes), query).has_value();
    EXPECT_EQ(decoded_all, n < 4) << n;
  }
}

TEST(DnsMessage, TheWorkOfOneMessageIsBounded) {
  // 5,000 records whose names each walk 100 labels would take 500,000 steps.
  const Query query = ask(DnsType::kNs);
  std::string deep;
  for (int i = 0; i < 100; ++i)
    deep +=
        "\x01"
        "a";
  const auto at = static_cast<unsigned>(response(query, 0, {}, "").size());
  std::string rest = record(deep + std::string(1, '\0'), 2, 1, wire_name("a"));
  for (int i = 1; i < 4000; ++i) rest += record(u16(0xc000 | at), 2, 1, std::string(1, '\0'));
  const std::string bytes = response(query, 0, {.answers = 4000}, rest);
  ASSERT_LE(bytes.size(), 65535U);
  EXPECT_FALSE(decode_answer(as_bytes(bytes), query));
}

TEST(DnsMessage, KeepsSixtyFourAnswersAndCountsAll) {
  const Query query = ask(DnsType::kA);
  std::string rest;
  for (int i = 0; i < 70; ++i) rest += record(kPointerToQuestion, 1, 1, "\x7f\x01\x01\x01");
  const auto decoded = decode_answer(as_bytes(response(query, 0, {.answers = 70}, rest)), query);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->answers.size(), kAnswersMax);
  EXPECT_EQ(decoded->answers_total, 70);
}

TEST(DnsMessage, KeepsTheOtherSectionsForWhoeverWantsThem) {
  Query query{.id = 7, .name = "example.test", .type = DnsType::kMx};
  const std::string rest =
      record(kPointerToQuestion, 2, 300, wire_name("ns1.example.test")) +
      record(wire_name("ns1.example.test"), 1, 60, std::string("\xc0\x00\x02\x35", 4)) +
      record(std::string(1, '\0'), 41, 0, "", 1232);
  const std::string bytes = response(query, 0, {.authorities = 1, .additionals = 2}, rest);
  const auto few = decode_answer(as_bytes(bytes), query);
  ASSERT_TRUE(few) << few.error().text;
  EXPECT_TRUE(few->authorities.empty());
  EXPECT_EQ(few->authorities_total, 1);
  EXPECT_EQ(few->additionals_total, 2);
  query.all_sections = true;
  const auto all = decode_answer(as_bytes(bytes), query);
  ASSERT_TRUE(all) << all.error().text;
  EXPECT_EQ(all->authorities,
            (std::vector<DnsRecord>{{"example.test.", DnsType::kNs, 300, "ns1.example.test."}}));
  EXPECT_EQ(all->additionals,
            (std::vector<DnsRecord>{{"ns1.example.test.", DnsType::kA, 60, "192.0.2.53"}}));
  const std::string broken =
      response(query, 0, {.authorities = 1}, record(kPointerToQuestion, 1, 60, "abc"));
  EXPECT_FALSE(decode_answer(as_bytes(broken), query));
}

TEST(DnsMessage, AsksInTheWantedClass) {
  const Query query{.id = 7, .name = "version.bind", .type = DnsType::kTxt, .cls = 3};
  const auto bytes = encode_query(query);
  ASSERT_TRUE(bytes);
  const std::string question = wire_name("version.bind") + u16(16);
  EXPECT_NE(bytes->find(question + u16(3)), std::string::npos);
  const std::string answer = u16(7) + u16(0x8180) + u16(1) + u16(1) + u16(0) + u16(0) + question +
                             u16(3) + record(kPointerToQuestion, 16, 0, "\x01x", 3);
  const auto read = decode_answer(as_bytes(answer), query);
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(read->answers.size(), 1U);
  EXPECT_FALSE(is_answer_to(as_bytes(answer),
                            Query{.id = 7, .name = "version.bind", .type = DnsType::kTxt}));
}

TEST(DnsMessage, AnswersOnlyWhatWasAsked) {
  const Query query = ask(DnsType::kA);
  const std::string good = response(query, 0, {}, "");
  EXPECT_TRUE(is_answer_to(as_bytes(good), query));
  Query other = query;
  other.id = 1;
  EXPECT_FALSE(is_answer_to(as_bytes(good), other));
  other = query;
  other.type = DnsType::kAaaa;
  EXPECT_FALSE(is_answer_to(as_bytes(good), other));
  other = query;
  other.name = "example.org";
  EXPECT_FALSE(is_answer_to(as_bytes(good), other));
  other.name = "EXAMPLE.com.";
  EXPECT_TRUE(is_answer_to(as_bytes(good), other));
  EXPECT_FALSE(is_answer_to(as_bytes(*encode_query(query)), query)) << "a query is no answer";
  EXPECT_FALSE(is_answer_to(as_bytes(good.substr(0, 20)), query));
  EXPECT_FALSE(is_answer_to({}, query));
}

TEST(DnsMessage, AServerThatCouldNotReadTheQuestionMayLeaveItOut) {
  const Query query = ask(DnsType::kA);
  const std::string formerr = u16(query.id) + u16(0x8001) + std::string(8, '\0');
  const auto decoded = decode_answer(as_bytes(formerr), query);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(rcode_name(decoded->rcode), "FORMERR");
  EXPECT_FALSE(is_answer_to(as_bytes(u16(query.id) + u16(0x8000) + std::string(8, '\0')), query));
}

TEST(DnsMessage, ReadsTheExtendedRcode) {
  const Query query = ask(DnsType::kA);
  const std::string opt = std::string(1, '\0') + u16(41) + u16(1232) + u32(0x01000000) + u16(0);
  const auto decoded = decode_answer(as_bytes(response(query, 0, {.additionals = 1}, opt)), query);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(rcode_name(decoded->rcode), "BADVERS");
  EXPECT_FALSE(decode_answer(as_bytes(response(query, 0, {.additionals = 2}, opt + opt)), query));
  EXPECT_EQ(rcode_name(3), "NXDOMAIN");
  EXPECT_EQ(rcode_name(13), "RCODE13");
}

TEST(DnsMessage, ATruncatedMessageGivesTheAnswersBeforeTheCut) {
  const Query query = ask(DnsType::kA);
  const std::string rest =
      record(kPointerToQuestion, 1, 1, "\x7f\x01\x01\x01") + kPointerToQuestion + u16(1);
  const std::string cut = response(query, 0x0200, {.answers = 2}, rest);
  const auto decoded = decode_answer(as_bytes(cut), query);
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->truncated);
  EXPECT_EQ(decoded->answers.size(), 1U);
  EXPECT_FALSE(decode_answer(as_bytes(response(query, 0, {.answers = 2}, rest)), query));
}

TEST(DnsMessage, BytesAfterTheEndAreRefused) {
  const Query query = ask(DnsType::kA);
  EXPECT_EQ(decode_answer(as_bytes(response(query, 0, {}, "x")), query).error(),
            (Error{Errc::kCorrupt, "DNS answer: 1 bytes after the end at byte 30"}));
}

TEST(DnsMessage, EveryPrefixOfAnAnswerIsRefusedWithoutReadingPastIt) {
  const Query query = ask(DnsType::kMx);
  const std::string whole = response(
      query, 0, {.answers = 1}, record(kPointerToQuestion, 15, 60, u16(10) + wire_name("mx.a")));
  ASSERT_TRUE(decode_answer(as_bytes(whole), query));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const std::string prefix = whole.substr(0, n);
    EXPECT_FALSE(decode_answer(as_bytes(prefix), query)) << n;
  }
}

}  // namespace
}  // namespace tocsin::dns
