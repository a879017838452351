
// ---- How many conversations have something new: beside "Unread", in the title and in the icon, up to 99+.

const unread = {
  add(by) {
    const shown = $("unread").textContent;
    // What was not counted to its end cannot be counted on.
    if (shown.endsWith("+")) return;
    const count = Math.max(0, Number(shown) + by);
    const text = count > 99 ? "99+" : count ? String(count) : "";
    $("unread").textContent = text;
    document.title = `${text ? `(${text}) ` : ""}${document.title.replace(/^\(\d+\+?\) /, "")}`;
    $("icon").href = text ? `/static/unread-${text.replace("+", "-plus")}.svg` : $("unread").dataset.icon;
  },
};
