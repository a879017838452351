
// ---- The truth about whether anything can arrive. A page hears in up to two ways: every page asks what is urgent, and a list is
// told of messages. Where one of them has said nothing for too long, the page says since when, and what may be missing.

/** After a silence of so many milliseconds there is no connection. */
const SILENCE = 40_000;
/** How long the page says that the connection is back. */
const SAY_BACK = 30_000;

const connection = {
  /** The ways in which nothing is heard. */
  lost: new Set(),
  what: "",

  /** Nothing was heard in this way since then. Read aloud once, however long it lasts. */
  lose(way, since) {
    if (session.over) return;
    if (this.lost.size === 0) {
      const missing = $("rows") || $("conversation") ? "Newer messages" : "Urgent messages";
      $("back").hidden = true;
      $("lost").textContent = `No connection since ${clockTime(since)}. ${missing} may be missing.`;
      $("lost").hidden = false;
    }
    this.lost.add(way);
  },

  /** It is heard again; `what` says what the page shows by now. */
  restore(way, what = "") {
    if (!this.lost.delete(way)) return;
    this.what = what || this.what;
    if (this.lost.size > 0 || session.over) return;
    $("lost").hidden = true;
    $("lost").textContent = "";
    $("back").hidden = false;
    $("back").textContent = `Connected again at ${clockTime()}. ${this.what}`.trim();
    this.what = "";
    setTimeout(() => { if (!session.over) { $("back").hidden = true; $("back").textContent = ""; } }, SAY_BACK);
  },
};
