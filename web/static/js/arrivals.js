
// ---- Replies that arrive in a conversation that is open. The page says that they are there; their texts, and the row of the log
// that says who read them, follow the click, so that a page nobody sits at opens nothing.

function startArrivals(conversation) {
  let address = conversation.dataset.updates;
  const seen = new Set();

  const replied = (event) => {
    address = address.replace(/after=\d+/, `after=${event.lastEventId}`);
    const { id } = JSON.parse(event.data);
    if ($(`m${id}`) || seen.has(id)) return;
    seen.add(id);
    const link = Object.assign(document.createElement("a"), { href: `/messages/${Math.min(...seen)}`, textContent: "Show" });
    $("arrived").replaceChildren(`${seen.size} new ${seen.size === 1 ? "reply" : "replies"}. `, link);
    $("arrived").hidden = false;
  };
  // What is being written must be kept before the page is asked for again.
  $("arrived").addEventListener("click", async (event) => {
    if (!event.target.closest("a") || !draft.written()) return;
    event.preventDefault();
    draft.save();
    await draft.saving;
    if (!draft.written()) location.assign(event.target.closest("a").href);
  });
  const stream = keepStream(() => address, { replied, duties: () => urgent.look() });
  const turn = () => (document.hidden ? stream.close() : stream.open());
  document.addEventListener("visibilitychange", turn);
  addEventListener("pagehide", stream.close);
  addEventListener("pageshow", turn);
  turn();
}
