#include "collector/ports/http_node.h"

#include "common/codec/json.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

using codec::Node;

struct Read {
  HttpTarget target;
  std::vector<FieldError> errors;
};

Read read(const Node& node) {
  Read out;
  codec::MapReader reader{node, "", out.errors};
  out.target = read_http_target(reader, out.errors);
  reader.finish();
  return out;
}

Read read(std::string_view json) { return read(*codec::parse_json(json)); }

std::string error_of(std::string_view json) {
  const Read out = read(json);
  return out.errors.empty() ? "" : out.errors.front().path + ": " + out.errors.front().text;
}

TEST(HttpNode, EveryFieldComesBackAsItWas) {
  HttpTarget full;
  full.url = "https://shop.example/";
  full.method = "PUT";
  full.headers = {{"A", "1"}, {"Host", "other.example"}};
  full.body = std::string("\x00\xff binary", 9);
  full.redirects_max = 0;
  full.verify = false;
  full.ca_pem = "-----BEGIN";
  full.auth = {HttpAuth::Kind::kBasic, "ann", SecretRef::file("shop-password")};
  full.secret_headers = {{"X-Api-Key", SecretRef::stored("shop-key")},
                         {"X-Local", SecretRef::file("local-key")}};
  full.server_name = "shop.internal";
  full.resolver = "192.0.2.1:53";
  full.version = HttpVersion::k2;
  full.allow_downgrade = true;
  full.proxy = "office";
  full.client_cert = SecretRef::file("shop.pem");
  full.client_key = SecretRef::stored("shop-key-pem");
  full.connection = ConnectionMode::kReuse;
  full.body_max = 2048;
  full.ocsp = OcspMode::kRequire;
  HttpTarget bearer;
  bearer.url = "https://shop.example/";
  bearer.body = "text\nof lines";
  bearer.auth = {HttpAuth::Kind::kBearer, {}, SecretRef::stored("token")};
  bearer.headers = {{"A", "1"}, {"A", "2"}};
  bearer.secret_headers = {{"A", SecretRef::file("third")}};
  bearer.version = HttpVersion::k11;
  bearer.connection = ConnectionMode::kResume;
  bearer.ocsp = OcspMode::kCheck;
  for (const HttpTarget& target : {full, bearer, HttpTarget{}}) {
    Node node = Node::map();
    set_http_target(node, target);
    const std::string text = codec::print_json(node, 2);
    const Read again = read(text);
    ASSERT_TRUE(again.errors.empty()) << again.errors[0].path << ": " << again.errors[0].text;
    EXPECT_EQ(again.target, target) << text;
  }
}

TEST(HttpNode, ReadsWhatPeopleWrite) {
  EXPECT_EQ(read(R"({"http": 1.1})").target.version, HttpVersion::k11);
  EXPECT_EQ(read(R"({"http": 2})").target.version, HttpVersion::k2);
  EXPECT_EQ(read(R"({"body_max": "256KiB"})").target.body_max, 256U * 1024);
  EXPECT_EQ(read(R"({"body_base64": "aGVs\nbG8="})").target.body, "hello");
}

TEST(HttpNode, ASecretIsAlwaysAName) {
  const std::string rule =
      "line 1, column 21: expected {secret: NAME} or {file: NAME}: a secret is never written here "
      "but kept by the collector (tocsinctl secret), or in a file of the agent's secrets_dir";
  EXPECT_EQ(error_of(R"({"auth": {"bearer": "hunter2"}})"), "auth.bearer: " + rule);
  EXPECT_EQ(error_of(R"({"auth": {"basic": {"username": "a"}}})"),
            "auth.basic.password: line 1, column 20: expected {secret: NAME} or {file: NAME}");
  EXPECT_EQ(error_of(R"({"auth": {"bearer": {"file": "a", "secret": "b"}}})"),
            "auth.bearer.file: line 1, column 30: expected either secret, the name of a secret of "
            "the collector, or file, that of a file in the agent's secrets_dir");
  EXPECT_EQ(error_of(R"({"auth": {}})"),
            "auth: line 1, column 10: expected one of basic: {username: NAME, password: "
            "{secret: NAME}} and bearer: {secret: NAME}");
}

TEST(HttpNode, SaysWhatWasExpected) {
  EXPECT_EQ(error_of(R"({"http": 3})"), "http: line 1, column 10: expected auto, 1.1 or 2");
  EXPECT_EQ(error_of(R"({"body": "a", "body_base64": "YQ=="})"),
            "body_base64: line 1, column 30: expected either body or body_base64, not both");
  EXPECT_EQ(error_of(R"({"body_base64": "YQ"})"),
            "body_base64: line 1, column 17: expected base64 with its padding (RFC 4648 section "
            "4)");
  EXPECT_EQ(error_of(R"({"connection": "warm"})"),
            "connection: line 1, column 16: expected one of cold, resume, reuse, not 'warm'");
  EXPECT_EQ(error_of(R"({"body_max": "1GiB"})"),
            "body_max: line 1, column 14: expected bytes from 1KiB to 1MiB");
}

}  // namespace
}  // namespace tocsin::collector
