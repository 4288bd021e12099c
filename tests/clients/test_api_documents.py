"""OpenAPI and AsyncAPI as the running binary serves them, judged by validators that are not ours."""

import json
import unittest
import urllib.error
import urllib.request

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from server import Server

ROUTES = {
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
    "/ws": {"get"},
    "/ws/updates/": {"get"},
    "/api/events": {"get", "post"},
    "/api/poll": {"get"},
    "/api/ticket": {"post"},
    "/api/roster/import": {"post"},
}


class ApiDocuments(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server().start()
        cls.addClassCleanup(cls.server.stop)
        cls.openapi = cls.fetch("/api/openapi.json")
        cls.asyncapi = cls.fetch("/api/asyncapi.json")

    @classmethod
    def fetch(cls, path: str) -> dict:
        with urllib.request.urlopen(cls.server.url(path), timeout=5) as answer:
            assert answer.headers["content-type"] == "application/json", answer.headers["content-type"]
            return json.load(answer)

    def test_openapi_is_valid(self) -> None:
        errors = [f"{error.json_path}: {error.message}" for error in OpenAPIV31SpecValidator(self.openapi).iter_errors()]
        self.assertEqual(errors, [])

    def test_openapi_has_the_documented_routes(self) -> None:
        for path, methods in ROUTES.items():
            self.assertEqual(set(self.openapi["paths"][path]), methods, path)

    def test_openapi_describes_what_the_server_answers(self) -> None:
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(self.server.url("/api/poll"), timeout=5)
        problem = json.load(refused.exception)
        response = self.openapi["components"]["responses"][str(problem["status"])]
        self.check(self.openapi, response["content"]["application/problem+json"]["schema"], problem)

    def test_asyncapi_names_its_version_and_describes_every_example(self) -> None:
        self.assertEqual(self.asyncapi["asyncapi"], "3.0.0")
        examples = 0
        for message in self.asyncapi["components"]["messages"].values():
            for example in message.get("examples", []):
                self.check(self.asyncapi, message["payload"], example["payload"])
                examples += 1
        self.assertGreater(examples, 20)

    def test_asyncapi_and_openapi_agree_about_events(self) -> None:
        def events(document: dict) -> dict:
            schemas = document["components"]["schemas"]
            return {name: schema for name, schema in schemas.items() if name.startswith(("event.", "data."))}

        self.assertIn("event.announcement", events(self.asyncapi))
        self.assertEqual(events(self.openapi), events(self.asyncapi))

    def check(self, document: dict, schema: dict, instance: object) -> None:
        Draft202012Validator({"components": document["components"], "allOf": [schema]}).validate(instance)


if __name__ == "__main__":
    unittest.main()
