
// ---- Replies that arrive in a conversation that is open. The page says that they are there; their texts, and the row of the log
// that says who read them, follow the click, so that a page nobody sits at opens nothing.

function startArrivals(conversation) {
  let address = conversation.dataset.updates;
  let source = null;
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
  const close = () => {
    source?.close();
    source = null;
  };
  const open = () => {
    if (source || document.hidden || session.over) return;
    source = new EventSource(address);
    source.addEventListener("replied", replied);
    source.addEventListener("duties", () => urgent.look());
    source.addEventListener("ended", () => session.check());
    source.addEventListener("heartbeat", () => session.confirmed());
    source.onerror = async () => {
      if (source?.readyState !== EventSource.CLOSED) return;
      // The browser gives up after a refusal: the session may be over, or the site is starting again.
      close();
      await session.check();
      setTimeout(open, TRY_AGAIN);
    };
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  session.atEnd.push(close);
  open();
}
