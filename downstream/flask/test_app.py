"""What the server accepts and refuses, with a key that does what the test tells it. `run.sh` starts it."""

import os
import unittest

import keyfob_control
from app import create_app

RP_ID, ORIGIN = "example.org", "https://login.example.org"


class Passkeys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # `keyfob serve`, and its control socket.
        options = ["--profile", "workstation", "--seed", "5", "--tcp", "127.0.0.1:0"]
        cls.key = cls.enterClassContext(keyfob_control.serve(*options, keyfob=os.environ.get("KEYFOB", "keyfob")))

    def setUp(self):
        self.key.remove_all_credentials()
        self.key.tell_the_truth()
        self.key.set_touch("auto")
        self.page = create_app(RP_ID, ORIGIN).test_client()

    def post(self, path, body):
        response = self.page.post(path, json=body)
        return response.status_code, response.get_json()

    def register(self, name):
        status, options = self.post("/attestation/options", {"username": name})
        self.assertEqual(status, 200, options)
        return self.post("/attestation/result", self.key.create(ORIGIN, options, credulous=True))

    def response(self):
        """A sign-in, as far as the browser does it. It passes lies on, so that the server has to find them."""
        _, options = self.post("/assertion/options", {})
        return self.key.get(ORIGIN, options, credulous=True)

    def sign_in(self):
        return self.post("/assertion/result", self.response())

    def test_alice_registers_and_signs_in_twice(self):
        alice = (200, {"status": "ok", "errorMessage": "", "username": "alice"})
        self.assertEqual([self.register("alice"), self.sign_in(), self.sign_in()], [alice] * 3)
        [held] = self.key.credentials()
        self.assertEqual((held["userName"], held["rpId"], held["signCount"]), ("alice", RP_ID, 2))

    def test_lies_are_refused(self):
        self.register("alice")
        for lie, members in (
            ("bogusSignature", {}),
            ("userPresent", {"on": False}),
            ("userVerified", {"on": False}),
            ("rpId", {"rp_id": "example.com"}),
        ):
            with self.subTest(lie):
                self.key.lie(lie, **members)
                status, body = self.sign_in()
                self.assertEqual((status, body["status"]), (400, "failed"), body)
                self.key.tell_the_truth()
        self.assertEqual(self.sign_in()[0], 200)

    def test_a_cloned_key_is_found_by_its_counter(self):
        self.register("alice")
        self.sign_in()
        [held] = self.key.credentials()
        self.key.set_credential_properties(held["credentialId"], sign_count=0)
        status, body = self.sign_in()
        self.assertEqual(status, 400)
        self.assertIn("sign count", body["errorMessage"])

    def test_a_response_is_used_once(self):
        self.register("alice")
        response = self.response()
        with self.page.session_transaction() as session:
            kept = dict(session)
        self.assertEqual(self.post("/assertion/result", response)[0], 200)
        with self.page.session_transaction() as session:
            session.update(kept)  # a client can bring an old cookie
        status, body = self.post("/assertion/result", response)
        self.assertEqual((status, body["errorMessage"]), (400, "the challenge is not known"))

    def test_a_user_who_declines_is_not_registered(self):
        self.key.set_touch("deny")
        with self.assertRaises(keyfob_control.Refused):
            self.register("alice")
        self.assertEqual(self.key.credentials(), [])


if __name__ == "__main__":
    unittest.main()
