// No message makes the reader do unbounded work or return what cannot be printed. The first two
// bytes of an input choose the type that was asked for; the rest is the message, with its id made
// ours.

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/codec/dns_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using tocsin::dns::Query;
  if (size < 4) return 0;
  const auto type = static_cast<tocsin::DnsType>(data[0] << 8 | data[1]);
  std::vector<std::uint8_t> bytes{data + 2, data + size};
  bytes[0] = 0x12;
  bytes[1] = 0x34;
  const Query query{.id = 0x1234, .name = "example.com", .type = type};
  const auto message = tocsin::dns::decode_answer(bytes, query);
  if (!message) return 0;
  CHECK(tocsin::dns::is_answer_to(bytes, query));
  CHECK(message->answers.size() <= tocsin::dns::kAnswersMax);
  CHECK(message->answers.size() <= message->answers_total);
  CHECK(message->count <= message->answers_total);
  std::size_t kept = 0;
  for (const tocsin::DnsRecord& record : message->answers) kept += record.type == type ? 1 : 0;
  CHECK(kept <= message->count);
  CHECK(kept == message->count || message->answers.size() == tocsin::dns::kAnswersMax);
  for (const tocsin::DnsRecord& record : message->answers) {
    CHECK(record.data.size() <= tocsin::dns::kDataSizeMax + 3);  // An ellipsis may follow.
    CHECK(tocsin::printable(record.data, SIZE_MAX) == record.data);
    CHECK(tocsin::printable(record.name, SIZE_MAX) == record.name);
  }
  const auto again = tocsin::dns::decode_answer(bytes, query);
  CHECK(again.has_value() && *again == *message);
  // Whoever wants every section hears the same of the answers; what is wrong in the others counts,
  // and of a cut message ends what is read, which may be before the record with the rest of the
  // rcode.
  Query all = query;
  all.all_sections = true;
  if (const auto whole = tocsin::dns::decode_answer(bytes, all)) {
    CHECK(whole->answers == message->answers);
    CHECK(whole->rcode == message->rcode || whole->truncated);
    CHECK(whole->authorities.size() <= tocsin::dns::kAnswersMax);
    CHECK(whole->authorities.size() <= whole->authorities_total);
    CHECK(whole->additionals.size() <= whole->additionals_total);
    for (const auto* records : {&whole->authorities, &whole->additionals}) {
      for (const tocsin::DnsRecord& record : *records) {
        CHECK(tocsin::printable(record.data, SIZE_MAX) == record.data);
      }
    }
  }
  Query other = query;
  other.id = 0x4321;
  CHECK(!tocsin::dns::is_answer_to(bytes, other));
  return 0;
}
