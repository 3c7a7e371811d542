#pragma once
// Question answered here: what can a program know of the HTTP interface without reading our docs?
//
// collector/api/openapi.yaml (OpenAPI 3.1), compiled in and served as JSON.

#include "collector/api/router.h"

#include <string>
#include <string_view>

namespace tocsin::collector {

/// As it is written.
const std::string& openapi_yaml();

/// Converted once; a test reads it, so it is well formed.
const std::string& openapi_json();

/// GET /openapi.json, for everybody.
void add_openapi_route(Router& router);

}  // namespace tocsin::collector
