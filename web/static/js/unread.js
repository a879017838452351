
// ---- The title and the icon: what is urgent first, then how many conversations have something new, up to 99+.

const URGENT_TITLE = "‼ Urgent – ";

const head = {
  /** Something urgent waits for the reader. */
  urgent: document.title.startsWith(URGENT_TITLE),

  show() {
    const count = $("unread")?.textContent ?? "";
    const plain = document.title.replace(URGENT_TITLE, "").replace(/^\(\d+\+?\) /, "");
    document.title = `${this.urgent ? URGENT_TITLE : ""}${count ? `(${count}) ` : ""}${plain}`;
    const { urgent, plain: icon } = $("icon").dataset;
    const counted = count ? `/static/unread-${count.replace("+", "-plus")}.svg` : icon;
    $("icon").href = this.urgent ? urgent : counted;
  },
};

const unread = {
  add(by) {
    const shown = $("unread").textContent;
    // What was not counted to its end cannot be counted on.
    if (shown.endsWith("+")) return;
    const count = Math.max(0, Number(shown) + by);
    $("unread").textContent = count > 99 ? "99+" : count ? String(count) : "";
    head.show();
  },
};
