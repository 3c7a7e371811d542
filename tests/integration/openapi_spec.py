"""The contract (/openapi.json) as something to hold answers against."""

import json
import re

from jsonschema import Draft202012Validator, FormatChecker

METHODS = ("get", "put", "post", "delete", "patch")
_PLACES = {"path", "query", "header"}
# Of JSON Schema, as far as it is used here.
_KEYWORDS = {"$ref", "type", "properties", "required", "items", "allOf", "oneOf", "enum", "const", "pattern", "format",
             "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
             "additionalProperties", "default", "description", "examples"}


class SpecError(AssertionError):
    """The document breaks a rule of OpenAPI 3.1."""


class Operation:
    def __init__(self, spec, path: str, method: str, item: dict, node: dict):
        self.path, self.method, self.node = path, method.upper(), node
        self.id = node["operationId"]
        self.parameters = [spec.resolve(p) for p in item.get("parameters", []) + node.get("parameters", [])]
        self.responses = {code: spec.resolve(r) for code, r in node["responses"].items()}
        self.public = node.get("security") == []
        body = spec.resolve(node.get("requestBody", {}))
        self.body = body.get("content", {}).get("application/json", {}).get("schema")
        self.body_required = body.get("required", False)

    def names(self, place: str) -> list[str]:
        return [p["name"] for p in self.parameters if p["in"] == place]


class Spec:
    def __init__(self, document: dict):
        self.document = document
        self._writing = []  # References that strict() is inside of.
        self._strict = {}
        self.check_document()
        self.operations = {}
        for path, item in document["paths"].items():
            for method in METHODS:
                if method in item:
                    operation = Operation(self, path, method, item, item[method])
                    self.operations[operation.id] = operation

    def resolve(self, node):
        seen = 0
        while isinstance(node, dict) and "$ref" in node:
            seen += 1
            if set(node) != {"$ref"} or not node["$ref"].startswith("#/components/") or seen > 10:
                raise SpecError(f"expected a reference into /components and nothing beside it: {node}")
            target = self.document
            for part in node["$ref"][2:].split("/"):
                if part not in target:
                    raise SpecError(f"{node['$ref']} names nothing")
                target = target[part]
            node = target
        return node

    # --- the document ---

    def check_document(self):
        """The rules of OpenAPI 3.1 for the parts that are used here; a part that has none is an error."""
        d = self.document
        self._keys("the document", d, {"openapi", "info", "paths"},
                   {"servers", "security", "tags", "components"})
        if not re.fullmatch(r"3\.1\.\d+", d["openapi"]):
            raise SpecError(f"openapi: {d['openapi']}")
        self._keys("info", d["info"], {"title", "version"}, {"summary", "description", "license"})
        components = d["components"]
        self._keys("components", components, set(),
                   {"securitySchemes", "headers", "parameters", "responses", "schemas"})
        for kind in components.values():
            for name in kind:
                if not re.fullmatch(r"[a-zA-Z0-9._-]+", name):
                    raise SpecError(f"components: '{name}' is no name")
        for name, schema in components["schemas"].items():
            self._schema(f"schemas.{name}", schema)
        for name, scheme in components["securitySchemes"].items():
            self._keys(f"securitySchemes.{name}", scheme, {"type"}, {"scheme", "description", "in", "name"})
        for name, parameter in components["parameters"].items():
            self._parameter(f"parameters.{name}", parameter)
        for name, response in components["responses"].items():
            self._response(f"responses.{name}", response)
        for name, header in components["headers"].items():
            self._header(f"headers.{name}", header)
        tags = {tag["name"] for tag in d["tags"]}
        ids, templates = set(), set()
        for path, item in d["paths"].items():
            template = re.sub(r"\{[^}]*\}", "{}", path)
            if not path.startswith("/") or template in templates:
                raise SpecError(f"{path}: no path, or there is one like it")
            templates.add(template)
            self._keys(path, item, set(), {"parameters", *METHODS})
            for method in METHODS:
                if method in item:
                    self._operation(f"{method} {path}", path, item, item[method], tags, ids)
        used = set(re.findall(r'"#/components/([a-zA-Z]+/[a-zA-Z0-9-]+)"', json.dumps(d)))
        for kind in ("schemas", "parameters", "responses", "headers"):
            for name in components[kind]:
                if f"{kind}/{name}" not in used:
                    raise SpecError(f"components: nothing uses {kind}/{name}")

    def _operation(self, where, path, item, node, tags, ids):
        self._keys(where, node, {"operationId", "responses", "tags", "summary"},
                   {"parameters", "requestBody", "description", "security"})
        if node["operationId"] in ids or not set(node["tags"]) <= tags or not node["responses"]:
            raise SpecError(f"{where}: its operationId, tags or responses")
        ids.add(node["operationId"])
        for requirement in node.get("security", self.document["security"]):
            if not set(requirement) <= set(self.document["components"]["securitySchemes"]):
                raise SpecError(f"{where}: {requirement} is no security scheme")
        parameters = [self.resolve(p) for p in item.get("parameters", []) + node.get("parameters", [])]
        named = {(p["in"], p["name"]) for p in parameters}
        if len(named) != len(parameters):
            raise SpecError(f"{where}: a parameter stands twice")
        if {n for place, n in named if place == "path"} != set(re.findall(r"\{([^}]*)\}", path)):
            raise SpecError(f"{where}: the path's parameters are not those that are described")
        for code, response in node["responses"].items():
            if not re.fullmatch(r"[1-5][0-9][0-9]", code):
                raise SpecError(f"{where}: {code} is no status")
            self._response(f"{where} {code}", self.resolve(response))
        if "requestBody" in node:
            body = self.resolve(node["requestBody"])
            self._keys(f"{where}: body", body, {"content"}, {"required", "description"})
            self._content(f"{where}: body", body["content"])

    def _response(self, where, node):
        self._keys(where, node, {"description"}, {"headers", "content"})
        for name, header in node.get("headers", {}).items():
            self._header(f"{where}: {name}", self.resolve(header))
        self._content(where, node.get("content", {}))

    def _content(self, where, content):
        for kind, media in content.items():
            if not re.fullmatch(r"[a-z]+/[a-z+-]+", kind):
                raise SpecError(f"{where}: {kind} is no content type")
            self._keys(where, media, {"schema"}, {"example", "examples"})
            self._schema(where, media["schema"])

    def _parameter(self, where, node):
        self._keys(where, node, {"name", "in", "schema"}, {"description", "required", "example"})
        if node["in"] not in _PLACES or (node["in"] == "path") != (node.get("required") is True):
            raise SpecError(f"{where}: where it stands, and whether it has to")
        self._schema(where, node["schema"])
        if "example" in node:
            self.expect(where, node["example"], node["schema"])

    def _header(self, where, node):
        self._keys(where, node, {"schema"}, {"description", "required", "example"})
        self._schema(where, node["schema"])

    def _schema(self, where, schema):
        Draft202012Validator.check_schema(schema)

        def walk(node, path):
            if not isinstance(node, dict) or not set(node) <= _KEYWORDS:
                raise SpecError(f"{path}: a keyword that is not known: {node}")
            if "$ref" in node:
                self.resolve(node)
            for example in node.get("examples", []):
                self.expect(f"{path}: an example", example, node)
            for name, child in node.get("properties", {}).items():
                walk(child, f"{path}.{name}")
            for word in ("items", "additionalProperties"):
                if word in node and node[word] is not False:
                    walk(node[word], f"{path}[]")
            for word in ("allOf", "oneOf"):
                for child in node.get(word, []):
                    walk(child, path)

        walk(schema, where)

    @staticmethod
    def _keys(where, node, needed, known):
        if not isinstance(node, dict) or not needed <= set(node) <= needed | known:
            raise SpecError(f"{where}: expected {sorted(needed)} and at most {sorted(known)}, not {node}")

    # --- values ---

    def strict(self, schema: dict, whole: bool = True) -> dict:
        """The schema with references written out and nothing allowed that is not described. `whole`: it
        describes all of its value and is not one part of an allOf. A schema inside itself is looked at no deeper."""
        reference = schema.get("$ref")
        if reference in self._writing:
            return {}
        if reference is not None:
            self._writing.append(reference)
        try:
            return self._written(self.resolve(schema), whole)
        finally:
            if reference is not None:
                self._writing.pop()

    def _written(self, schema: dict, whole: bool) -> dict:
        out = {}
        for word, value in schema.items():
            if word == "properties":
                out[word] = {name: self.strict(s) for name, s in value.items()}
            elif word in ("items", "additionalProperties") and isinstance(value, dict):
                out[word] = self.strict(value)
            elif word in ("oneOf", "anyOf"):
                out[word] = [self.strict(s) for s in value]
            elif word == "allOf":
                out[word] = [self.strict(s, whole=False) for s in value]
            else:
                out[word] = value
        described = "properties" in out or "allOf" in out
        if whole and described and "additionalProperties" not in out:
            out["unevaluatedProperties"] = False
        return out

    def errors(self, value, schema: dict) -> list[str]:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._strict:
            self._strict[key] = Draft202012Validator(self.strict(schema), format_checker=FormatChecker())
        return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"[:500]
                for e in self._strict[key].iter_errors(value)]

    def expect(self, where: str, value, schema: dict):
        wrong = self.errors(value, schema)
        if wrong:
            raise SpecError(f"{where}: {value!r} is not what the contract says: {wrong}")

    def find(self, method: str, path: str) -> Operation | None:
        """The operation a request path means; literal segments win over parameters."""
        found = []
        for operation in self.operations.values():
            pattern = re.sub(r"\\\{[^}]*\\\}", "[A-Za-z0-9_~-]+", re.escape(operation.path))
            if operation.method == method and re.fullmatch(pattern, path):
                found.append(operation)
        return min(found, key=lambda o: o.path.count("{"), default=None)
