
// ---- Single keys. They can be switched off (WCAG 2.1.4); the choice is the browser's, and says nothing about anybody.

const keysOff = () => localStorage.getItem("keys") === "off";

function startKeys() {
  for (const choice of document.querySelectorAll("[data-keys]")) {
    choice.closest("label").hidden = false;
    choice.checked = !keysOff();
    choice.addEventListener("change", () => {
      localStorage.setItem("keys", choice.checked ? "on" : "off");
      for (const other of document.querySelectorAll("[data-keys]")) other.checked = choice.checked;
    });
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable], dialog") || event.isComposing;
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || keysOff()) return;
    const action = {
      c: () => location.assign("/messages/new"),
      j: () => step(1),
      k: () => step(-1),
      "/": () => document.querySelector("[data-filter]")?.focus(),
      "?": () => $("keys")?.showModal(),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function step(by) {
  const links = [...document.querySelectorAll(".row a.subject")];
  const row = document.activeElement.closest(".row");
  // From a row that has no link of its own, the nearest link in the direction of travel is next.
  const follows = (link) => row && row.compareDocumentPosition(link) & Node.DOCUMENT_POSITION_FOLLOWING && !row.contains(link);
  const next = by > 0 ? (row ? links.find(follows) : links[0]) : links.findLast((link) => row && !follows(link) && !row.contains(link));
  next?.focus();
}
