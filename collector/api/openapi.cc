#include "collector/api/openapi.h"

#include "common/base/check.h"
#include "common/codec/json.h"
#include "common/io/http_server.h"
#include "common/io/yaml.h"

#include <utility>

namespace tocsin::collector {

const std::string& openapi_json() {
  static const std::string json = [] {
    const auto tree = io::parse_yaml(openapi_yaml(), "openapi.yaml");
    CHECK(tree.has_value());
    return codec::print_json(*tree) + "\n";
  }();
  return json;
}

void add_openapi_route(Router& router) {
  openapi_json();  // Now, and not while somebody waits.
  router.add(codec::HttpMethod::kGet, "/openapi.json",
             [](const codec::HttpRequest&, const PathValues&, io::HttpResponder responder) {
               io::HttpResponse response = io::HttpResponse::json(200, openapi_json());
               response.etag = true;
               response.headers.push_back({"Cache-Control", "public, max-age=300"});
               response.headers.push_back({"Access-Control-Allow-Origin", "*"});
               std::move(responder).send(std::move(response));
             });
}

}  // namespace tocsin::collector
