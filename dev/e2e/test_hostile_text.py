"""Text that would turn round, hide or cover what stands beside it: on every page, and in what a script puts there."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in
from support.people import PEOPLE
from support.visitor import Visitor

RLO, RLI, RLE = "\u202e", "\u2067", "\u202b"
ZALGO = "e" + "\u0301\u0489\u0334" * 80
# Every one ends with directions that nobody closes.
HOSTILE = {
    "override": f"Bed 12 {RLO}gm 01 esod{RLI}{RLE}",
    "isolate": f"Bed 13 {RLI}one 2 (three) {RLE}4 five",
    "arabic": f"غرفة 14 (MRI) {RLI}{RLO}",
    "invisible": "Bed 15\u200b\u2060\u3164\ufeff",
}

# Of each text that stands beside typed text, the characters must go from left to right, as they are written; and none of
# them may stand inside the box of the typed text. Gives what is wrong.
TURNED_ROUND = r"""() => {
  const wrong = [];
  const typed = (node) => node.closest("bdi, [dir=auto], option, textarea, title, script, style");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const text = node.data;
    if (!text.trim() || typed(node.parentElement) || !node.parentElement.checkVisibility()) continue;
    let last = null;
    for (let at = 0; at < text.length; at++) {
      if (/\s/.test(text[at])) continue;
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const box = range.getBoundingClientRect();
      if (!box.width) continue;
      if (last && Math.abs(box.top - last.top) < 2 && box.left < last.left) wrong.push(`${text.trim()} at ${at}`);
      last = box;
    }
  }
  return wrong;
}"""


def places(page, subject):
    """Where the author and the time of a message stand in its line of the list."""
    line = row(page, subject)
    boxes = [line.locator(part).bounding_box() for part in (".who", "a.subject", ".when")]
    return [round(box["x"]) for box in boxes] + [round(boxes[2]["x"] + boxes[2]["width"])]


@pytest.fixture
def sent(visitor):
    """The numbers of a message for each hostile subject, and of an honest one."""
    amina = visitor("amina")
    numbers = {}
    for name, subject in HOSTILE.items():
        amina.post("/messages", key=f"{len(numbers):032x}", subject=subject, body=f"{subject}\n{subject}")
        numbers[name] = max(int(number) for number in re.findall(r'href="/messages/(\d+)\?at=new"', amina.get("/messages").text))
    numbers["honest"] = amina.send("Bed 16")
    return numbers


def test_nothing_beside_a_subject_is_turned_round(window, sent):
    page = sign_in(window(), "amina")
    paths = ["/messages", "/audit", "/me", "/nowhere"]
    paths += [f"/messages/{number}{page}" for number in sent.values() for page in ("", "/delete")]
    for path in paths:
        page.goto(path)
        expect(page.get_by_role("heading").first).to_be_visible()
        assert page.evaluate(TURNED_ROUND) == [], path
        shown = page.content()
        assert RLO not in shown and "\u3164" not in shown, path
    page.goto("/messages")
    assert page.get_by_text("Bed 12 [U+202E]gm 01 esod").count() == 1, "what turns round is written out"
    assert places(page, "Bed 12") == places(page, "Bed 16")
    assert places(page, "Bed 13") == places(page, "Bed 16")


def test_the_check_itself_sees_what_is_turned_round(window):
    page = sign_in(window(), "amina")
    page.goto("/help")
    page.evaluate(f"() => document.querySelector('main p').prepend('{RLO}')")
    assert page.evaluate(TURNED_ROUND)


def test_what_a_script_puts_into_an_open_list_is_as_safe(window, visitor):
    page = sign_in(window(), "tomas")
    expect(page.locator("#live")).to_have_text(re.compile("live", re.IGNORECASE))
    amina = visitor("amina")
    amina.post("/messages", key="f" * 32, subject=f"Live {RLO}evil{RLI}", body="x")
    amina.post("/messages", key="e" * 32, subject="Live and honest", body="x")
    expect(row(page, "Live [U+202E]evil")).to_be_visible()
    expect(row(page, "Live and honest")).to_be_visible()
    assert page.evaluate(TURNED_ROUND) == []
    assert places(page, "Live [U+202E]evil") == places(page, "Live and honest")
    assert RLO not in page.content()


def test_a_form_that_comes_back_holds_what_was_typed(window):
    page = sign_in(window(), "amina")
    page.goto("/messages/new")
    subject = f"{HOSTILE['override']} " + "x" * 250
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Message", exact=True).fill(HOSTILE["override"])
    page.get_by_role("button", name="Send to all staff").click()
    expect(page.get_by_role("heading", name="This message was not sent")).to_be_visible()
    assert page.get_by_label("Subject").input_value() == subject
    assert page.get_by_label("Message", exact=True).input_value() == HOSTILE["override"]
    assert page.evaluate(TURNED_ROUND) == []
    # Nobody asks whether to leave a form that this test leaves.
    page.get_by_label("Subject").fill("")
    page.get_by_label("Message", exact=True).fill("")


@pytest.mark.parametrize("text", ["\u200b", "\u3164", "\ufeff\u2060", "\u2800"])
def test_a_subject_that_nobody_could_see_is_none(text, visitor):
    reply = visitor("amina").post("/messages", key="a" * 32, subject=text, body="x")
    assert reply.status_code == 422 and "Write a subject." in reply.text


def test_marks_piled_on_a_letter_cover_nothing_beside_it(window, visitor):
    amina = visitor("amina")
    page = sign_in(window(), "amina")
    pictures = []
    for subject in (ZALGO, "e"):
        amina.post("/messages", key=f"{len(subject):032x}", subject=subject, body=subject * 3)
        number = max(int(number) for number in re.findall(r'href="/messages/(\d+)\?at=new"', amina.get("/messages").text))
        page.goto(f"/messages/{number}")
        beside = [page.locator(".byline .who"), page.locator(".back"), page.locator(".top"), page.locator(".actions").first]
        pictures.append([part.screenshot() for part in beside])
    assert pictures[0] == pictures[1]


def test_names_cannot_look_like_anything_but_names(own_site, windows):
    site = own_site()
    site.provider.rename("noor", name=f"Amina{RLO} Diallo\u200b\n\u3164{RLI}")
    noor = Visitor(site, "noor")
    noor.send("From whom")
    page = sign_in(windows.window(site), "tomas")
    expect(row(page, "From whom").locator(".who bdi")).to_have_text("Amina Diallo")
    listed = site.command("staff", "list").stdout
    assert "Amina Diallo" in listed and listed.count("\n") == 2, listed
    page.goto("/messages/1")
    expect(page.get_by_text(PEOPLE["noor"].email)).to_be_visible()
