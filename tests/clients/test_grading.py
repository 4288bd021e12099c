"""Grading, notifications and broadcasts over REST and frames: who is late is told what is true, and what is given passes as it is."""

import unittest
from concurrent.futures import ThreadPoolExecutor

from campus import PUBLISHER, bearer, call, school, token
from readers import Ws, poll

KEYS = [{
    "name": "campus", "key": PUBLISHER, "scopes": ["publish", "roster", "metrics", "grading", "notifications"],
}]
STAFF = bearer(token(100, role="training_staff"))
KEY = bearer(PUBLISHER)


class Grading(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school(api_key=KEYS)
        cls.addClassCleanup(cls.server.stop)

    def do(self, method: str, path: str, body: object = None, headers: dict = STAFF, status: int = 200) -> dict:
        answer = call(self.server, method, path, body, headers)
        self.assertEqual(answer.status, status, answer)
        return answer.json

    def test_the_late_grader_is_told_what_is_true_now_and_tries_again(self) -> None:
        version = self.do("PUT", "/api/cadets/1", {"name": "Grace"})["version"]
        first = self.do("PUT", "/api/cadets/1/exam-scores", {"prelim_score": 70, "version": version})
        self.assertEqual((first["version"], first["changed"]), (2, True))
        late = {"midterm_score": 80, "version": version}
        problem = self.do("PUT", "/api/cadets/1/exam-scores", late, status=409)
        self.assertEqual((problem["code"], problem["current"]["prelim_score"]), ("stale_version", 70.0))
        self.assertEqual(problem["current"], self.do("GET", "/api/cadets/1"))
        again = self.do("PUT", "/api/cadets/1/exam-scores", late | {"version": problem["current"]["version"]})
        self.assertEqual(again["version"], 3)

    def test_a_merit_is_added_corrected_and_taken_back_by_rest(self) -> None:
        self.do("PUT", "/api/cadets/2", {"name": "Ida"})
        added = self.do("POST", "/api/cadets/2/merits", {"type": "merit", "points": 5, "reason": "Drill"})
        place = f"/api/cadets/2/merits/{added['merit_id']}"
        changed = self.do("PUT", place, {"type": "merit", "points": 7, "reason": "Drill", "version": added["version"]})
        self.assertEqual(self.do("GET", "/api/cadets/2")["merit_points"], 7)
        self.do("DELETE", place, {"version": added["version"]}, status=409)
        self.do("DELETE", place, {"version": changed["version"]})
        self.assertEqual(self.do("GET", "/api/cadets/2/merits")["merits"], [])
        self.assertEqual([change["what"] for change in self.do("GET", "/api/cadets/2/changes?limit=2")["changes"]], ["cadet", "merit"])

    def test_graders_at_once_lose_no_merit(self) -> None:
        self.do("PUT", "/api/cadets/3", {"name": "Ada"})
        with ThreadPoolExecutor(8) as pool:
            body = {"type": "merit", "points": 1, "reason": ""}
            list(pool.map(lambda _: self.do("POST", "/api/cadets/3/merits", body, KEY), range(80)))
        self.assertEqual(self.do("GET", "/api/cadets/3")["merit_points"], 80)

    def test_a_cadet_sees_their_own_sheet_and_its_news_alone(self) -> None:
        for cadet in (4, 5):
            self.do("PUT", f"/api/cadets/{cadet}", {"name": f"Cadet {cadet}"})
        own, other = (bearer(token(40 + cadet, role="cadet", cadet_id=cadet)) for cadet in (4, 5))
        self.do("GET", "/api/cadets/4", headers=own)
        self.do("GET", "/api/cadets/4", headers=other, status=403)
        self.do("PUT", "/api/cadets/4/exam-scores", {"final_score": 100, "version": 1}, own, status=403)

    def test_the_roster_s_cadet_wins_over_the_token_s(self) -> None:
        for cadet in (14, 15):
            self.do("PUT", f"/api/cadets/{cadet}", {"name": f"Cadet {cadet}"})
        self.do("PUT", "/api/roster/people/114", {"name": "P", "role": "cadet", "cadet_id": 14}, KEY)
        for claims in ({}, {"cadet_id": 15}):
            person = bearer(token(114, **claims))
            self.assertEqual(self.do("GET", "/api/cadets/14", headers=person)["name"], "Cadet 14")
            self.do("GET", "/api/cadets/15", headers=person, status=403)

    def test_data_of_a_broadcast_passes_byte_for_byte(self) -> None:
        call(self.server, "PUT", "/api/roster/people/9", {"name": "Nine", "role": "cadet", "cadet_id": 9}, KEY)
        since = poll(self.server, token(9)).json["cursor"]
        data = '{"z": 1.50, "prelim_score":90.0, "a":1e2}'
        body = f'{{"cadet_id":9,"grade_data":{data}}}'.encode()
        identifier = self.do("POST", "/api/broadcast/grade_update", body, KEY)["id"]
        answer = poll(self.server, token(9), since=since, wait=5)
        self.assertIn(b'"data":{"cadet_id":9,"z": 1.50, "prelim_score":90.0, "a":1e2}', answer.body)
        self.assertEqual(answer.json["events"][0]["id"], identifier)
        with Ws(self.server, token(3)) as admin:
            admin.until("connection_established")
            admin.send(f'{{"type":"command","ref":1,"name":"broadcast_sync_event","data":'
                       f'{{"event_type":"grade_update","cadet_id":9,"payload":{data}}}}}')
            reply = admin.until("reply")
            self.assertTrue(reply["ok"], reply)
        answer = poll(self.server, token(9), since=identifier, wait=5)
        self.assertIn(f'"data":{data}'.encode(), answer.body)

    def test_what_is_read_on_one_device_is_told_to_the_other(self) -> None:
        person = bearer(token(1))
        with Ws(self.server, token(1), client="phone") as phone:
            phone.until("connection_established")
            sent = self.do("POST", "/api/notifications", {"user_ids": [1, 2], "message": "Parade"})
            event = phone.until("notification")
            self.assertEqual(event["data"]["id"], sent["notifications"][0]["notification_id"])
            self.assertEqual(list(event["data"]), ["id", "message", "type", "is_read", "created_at"])
            self.assertRegex(event["data"]["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            unread = self.do("GET", "/api/notifications?unread=true", headers=person)["notifications"]
            self.assertEqual(unread, [event["data"]])
            self.do("POST", "/api/notifications/read", {"ids": [event["data"]["id"]]}, person)
            self.assertEqual(phone.until("notification_read")["data"], {"ids": [event["data"]["id"]]})
        self.assertEqual(self.do("GET", "/api/notifications?unread=true", headers=person)["notifications"], [])

    def test_a_repeated_request_with_a_key_is_done_once(self) -> None:
        self.do("PUT", "/api/cadets/6", {"name": "Emmy"})
        headers = STAFF | {"Idempotency-Key": "merit-1"}
        body = {"type": "demerit", "points": 2, "reason": "Late"}
        answers = [self.do("POST", "/api/cadets/6/merits", body, headers) for _ in range(3)]
        self.assertEqual(answers, [answers[0]] * 3)
        self.assertEqual(self.do("GET", "/api/cadets/6")["demerit_points"], 2)

    def test_without_approval_nothing_comes_until_it_is_given_again(self) -> None:
        before = poll(self.server, token(8)).json["cursor"]
        unapproved = self.do("DELETE", "/api/roster/people/8/approval", headers=KEY)
        self.assertFalse(self.do("GET", "/api/roster/people/8", headers=KEY)["is_approved"])
        self.do("POST", "/api/notifications", {"user_id": 8, "message": "Secret"})
        refused = call(self.server, "GET", f"/api/poll?since={before}", headers=bearer(token(8)))
        self.assertNotIn(b"Secret", refused.body)
        approved = self.do("PUT", "/api/roster/people/8/approval", headers=KEY)
        self.assertGreater(approved["id"], unapproved["id"])
        self.do("POST", "/api/notifications", {"user_id": 8, "message": "Hello"})
        events = poll(self.server, token(8), since=before, wait=5).json["events"]
        self.assertEqual([event["data"].get("message") for event in events if event["type"] == "notification"], ["Hello"])

    def test_bad_input_is_refused_with_the_code_that_says_why(self) -> None:
        self.do("PUT", "/api/cadets/7", {"name": "Mary"})
        for method, path, body, code, status in [
            ("PUT", "/api/cadets/7", {"cadet_id": 8, "name": "x"}, "invalid_data", 422),
            ("PUT", "/api/cadets/7", {"name": ""}, "invalid_data", 422),
            ("PUT", "/api/cadets/7", b"{", "malformed_json", 400),
            ("PUT", "/api/cadets/7", b"[]", "invalid_data", 422),
            ("POST", "/api/cadets/7/merits", {"type": "medal", "points": 1, "reason": ""}, "invalid_data", 422),
            ("POST", "/api/cadets/77/merits", {"type": "merit", "points": 1, "reason": ""}, "not_found", 404),
            ("PUT", "/api/training-days/1", {"date": "2026-02-30", "title": "x"}, "invalid_data", 422),
            ("PUT", "/api/training-days/9/attendance/7", {"status": "present"}, "not_found", 404),
            ("GET", "/api/cadets?limit=0", None, "invalid_data", 422),
            ("GET", "/api/cadets/77", None, "not_found", 404),
            ("POST", "/api/broadcast/sync_event", {"event_type": "rumour", "cadet_id": 1, "payload": {}}, "unknown_event_type", 422),
            ("POST", "/api/broadcast/grade_update", b'{"cadet_id":1,"grade_data":{"x":"\\ud800"}}', "malformed_json", 400),
            ("POST", "/api/notifications", {"message": "x"}, "invalid_data", 422),
        ]:
            with self.subTest(path=path, body=body):
                problem = self.do(method, path, body, status=status)
                self.assertEqual(problem["code"], code)


if __name__ == "__main__":
    unittest.main()
