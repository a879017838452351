"""Who can sign in to the demo, as `dev/demo/src/people.rs` has them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """One choice on the demo provider's page."""

    id: str
    name: str
    email: str


PEOPLE = {
    person.id: person
    for person in (
        Person("amina", "Amina Diallo", "amina@clinic.example"),
        Person("tomas", "Tomáš Dvořák", "tomas@clinic.example"),
        Person("noor", "نور الحداد", "noor@clinic.example"),
        Person("huong", "Nguyễn Thị Hương", "huong@clinic.example"),
        Person("outsider", "Sam Porter", "someone@elsewhere.example"),
    )
}
