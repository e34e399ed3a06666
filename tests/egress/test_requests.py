from __future__ import annotations
from tests.egress.place import Place

def test_smoke(place: Place) -> None:
    answer = place.get("http://api.example.com/a?b=c", "api.example.com", headers={"X-One": "1"}, method="POST", body="hello")
    print(answer.raw)
    assert answer.status == 200
    answer = place.get("https://api.example.com/a?b=c", "api.example.com")
    print(answer.raw)
    assert answer.status == 200
