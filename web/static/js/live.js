
// ---- Live updates: new and deleted messages in an open list, and the truth about whether they arrive.

function startUpdates(list) {
  const live = $("live");
  let source = null;
  let address = list.dataset.updates;
  let retry = 2000;
  let retryTimer = 0;
  let stopped = false;
  let arrivals = [];
  let moved = -Infinity;

  // A click that was aimed before the rows moved would open, and record, a message nobody meant.
  list.addEventListener("click", (event) => {
    if (event.detail > 0 && performance.now() - moved < 350) event.preventDefault();
  });

  const show = (text, on) => { live.hidden = false; live.textContent = text; live.classList.toggle("on", on); };

  // ---- What arrives

  const arrived = (event) => {
    stream.hear();
    if (event.lastEventId) address = address.replace(/after=\d+/, `after=${event.lastEventId}`);
  };

  const rowFrom = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    showLocalTimes(holder.content);
    return holder.content.querySelector("li");
  };

  // One announcement for a burst, without the subject: the screen may be read aloud in company.
  const announce = (name) => {
    if (arrivals.push(name) > 1) return;
    setTimeout(() => {
      $("news").textContent = arrivals.length === 1 ? `New message from ${arrivals[0]}` : `${arrivals.length} new messages`;
      arrivals = [];
    }, 400);
  };

  /** The update is the same for everybody: what the conversation is to the reader, the page adds. */
  const mark = (row, old, { began_by, isNew, isMine, isUrgent }) => {
    const own = began_by === Number(document.body.dataset.person);
    row.classList.toggle("own", own);
    if (own) row.querySelector(".tags").append(Object.assign(document.createElement("span"), { className: "tag", textContent: "you" }));
    const tags = row.querySelector(".tags");
    const draft = old?.querySelector(".tag.drafted");
    if (draft) tags.prepend(draft);
    markDuty(row, isMine, isUrgentRow(row) || (isUrgent && isUrgentRow(old)));
    const wasNew = Boolean(old?.classList.contains("new"));
    const nowNew = isNew ?? (wasNew && Boolean(row.querySelector("a.subject")));
    if (nowNew) {
      row.classList.add("new");
      row.prepend(Object.assign(document.createElement("span"), { className: "visually-hidden mark", textContent: "New: " }));
    }
    if (nowNew !== wasNew) unread.add(nowNew ? 1 : -1);
  };

  const sent = (event) => {
    arrived(event);
    const { id, html, began_by, by, for: whom } = JSON.parse(event.data);
    const old = $(`message-${id}`);
    if (old && event.type === "sent") return;
    const row = rowFrom(html);
    const reader = Number(document.body.dataset.person);
    const others = by !== reader;
    // Who replies has answered what was asked before.
    const isMine = whom.includes(reader) || (others && hasDuty(old));
    mark(row, old, { began_by, isMine, isUrgent: true, isNew: others ? true : undefined });
    old?.remove();
    const height = document.documentElement.scrollHeight;
    $("empty")?.remove();
    row.classList.add("fresh");
    list.prepend(row);
    showDays(list);
    moved = performance.now();
    // Where the browser does not hold the scroll position by itself, what is being read must not slide away.
    if (scrollY > 0 && !CSS.supports("overflow-anchor", "auto")) scrollBy(0, document.documentElement.scrollHeight - height);
    announce(JSON.parse(event.data).author);
  };

  /** The row stays where it is: its first message was deleted, or it is done, or open again. */
  const changed = (event) => {
    arrived(event);
    const { id, html, began_by } = JSON.parse(event.data);
    const old = $(`message-${id}`);
    if (!old) return;
    const row = rowFrom(html);
    const focused = old.contains(document.activeElement);
    mark(row, old, { began_by, isMine: hasDuty(old), isUrgent: event.type !== "deleted" });
    old.replaceWith(row);
    if (focused) {
      row.tabIndex = -1;
      row.focus({ preventScroll: true });
    }
  };

  const reload = () => {
    stopped = true;
    close();
    stream.restored("There are more new messages than are shown here.");
    const link = Object.assign(document.createElement("a"), { href: "/messages", textContent: "show them" });
    show("New messages: ", true);
    live.append(link);
    $("news").textContent = "There are new messages. Load the page again to see them.";
  };

  // ---- Whether anything can arrive

  const stream = {
    /** When the site was heard last, and since when it is listened for. It says something every ten seconds. */
    heard: Date.now(),
    since: Date.now(),
    lost: false,
    timer: 0,

    listen() { this.since = Date.now(); this.watch(); },

    watch() {
      clearTimeout(this.timer);
      const left = Math.max(this.heard, this.since) + SILENCE - Date.now();
      if (left <= 0) this.lose();
      else this.timer = setTimeout(() => this.watch(), left);
    },

    hear() {
      clearTimeout(retryTimer);
      this.heard = Date.now();
      session.confirmed();
      this.watch();
    },

    /** Comes at once after all that was missed, and every ten seconds. */
    beat() {
      this.hear();
      this.restored("You see all messages.");
      show("Live", true);
    },

    lose() {
      if (this.lost || stopped || document.hidden || session.over) return;
      this.lost = true;
      live.hidden = true;
      connection.lose("messages", this.heard);
      connect();
    },

    restored(what) {
      if (!this.lost) return;
      this.lost = false;
      connection.restore("messages", what);
    },
  };

  const close = () => {
    clearTimeout(retryTimer);
    clearTimeout(stream.timer);
    source?.close();
    source = null;
  };

  const again = () => {
    clearTimeout(retryTimer);
    retryTimer = setTimeout(connect, retry);
    retry = Math.min(retry * 2, TRY_AGAIN);
  };

  function connect() {
    if (stopped || session.over || document.hidden) return;
    clearTimeout(retryTimer);
    source?.close();
    if (!stream.lost) show("Connecting…", false);
    const mine = new EventSource(address);
    source = mine;
    // On a dead network nothing else ends it.
    retryTimer = setTimeout(connect, TRY_AGAIN);
    mine.onopen = () => { retry = 2000; };
    mine.onerror = async () => {
      if (source !== mine) return;
      if (!stream.lost) show("Reconnecting…", false);
      if (mine.readyState !== EventSource.CLOSED) return;
      // The browser gives up after a refusal: the session may be over, or the site is starting again.
      source = null;
      await session.check();
      if (!source) again();
    };
    mine.addEventListener("sent", sent);
    mine.addEventListener("replied", sent);
    mine.addEventListener("deleted", changed);
    mine.addEventListener("changed", changed);
    mine.addEventListener("heartbeat", () => stream.beat());
    mine.addEventListener("duties", () => urgent.look());
    mine.addEventListener("reload", reload);
    mine.addEventListener("ended", () => session.check());
  }

  const begin = () => {
    if (source || document.hidden || stopped) return;
    stream.listen();
    connect();
  };

  // An open stream holds one of the few connections a browser grants a site: a hidden page gives its own back.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : begin()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", begin);
  addEventListener("online", () => { if (stream.lost) connect(); });
  session.atEnd.push(close);
  begin();
}
