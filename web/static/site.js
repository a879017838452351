// What the site does beyond plain pages: local times, keys, live updates, drafts, and the warning before a session ends.
// Every page is complete without it. Nothing a person typed or read is kept in the browser: ward computers are shared.

const $ = (id) => document.getElementById(id);
const signedIn = "endsIn" in document.body.dataset;
const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
let leaving = false;

// ---- Talking to the site

/** Waits longer than this after having asked too often are left to whoever asked. */
const LONGEST_WAIT = 5;

/** Asks the site; gives null when it cannot be reached, and leaves the page when the session is over. Told that it was too
 *  often, which the ward's other computers may have caused, it asks again when it may. */
async function ask(path, fields, tries = 3) {
  const init = { cache: "no-store", redirect: "manual", headers: { accept: "application/json" } };
  if (fields) Object.assign(init, { method: "POST", body: withToken(fields) });
  try {
    const reply = await fetch(path, init);
    if (reply.status === 401) leave();
    const wait = Number(reply.headers.get("retry-after"));
    if (reply.status !== 429 || tries === 1 || leaving || wait > LONGEST_WAIT) return reply;
    await new Promise((done) => setTimeout(done, wait * 1000));
    return ask(path, fields, tries - 1);
  } catch {
    return null;
  }
}

function withToken(fields) {
  const token = document.querySelector("input[name=csrf]")?.value ?? "";
  return new URLSearchParams({ csrf: token, ...fields });
}

/** Takes everything off the screen at once, keeps what was being written, and goes to the door. */
async function leave() {
  if (leaving) return;
  const rescued = draft?.unsaved() && draft.fields();
  const body = rescued && withToken(rescued);
  leaving = true;
  document.body.replaceChildren();
  if (body) {
    await fetch("/draft", { method: "POST", body, signal: AbortSignal.timeout(4000) }).catch(() => null);
  }
  location.replace("/");
}

// ---- Times in the reader's own zone

const parts = new Intl.DateTimeFormat("en-US", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const zones = ["en-GB", "en-US"].map((locale) => new Intl.DateTimeFormat(locale, { timeZoneName: "short" }));

/** The zone's own short name where the browser knows one ("CET"), else its distance from UTC ("GMT+3"). */
function zoneName(date) {
  const names = zones.map((format) => format.formatToParts(date).find((part) => part.type === "timeZoneName").value);
  return names.find((name) => !/[+-]/.test(name)) ?? names[0];
}

function showLocalTimes(within) {
  for (const time of within.querySelectorAll("time.local")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const { day, month, year, hour, minute } = Object.fromEntries(parts.formatToParts(date).map((p) => [p.type, p.value]));
    const thisYear = date.getFullYear() === new Date().getFullYear();
    const shown = thisYear && time.closest(".row") ? `${day} ${month}` : `${day} ${month} ${year}`;
    time.textContent = `${shown}, ${hour}:${minute} ${zoneName(date)}`;
  }
}

// ---- Keys

/** Single keys can be switched off (WCAG 2.1.4); the choice is the browser's, and says nothing about anybody. */
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
      "?": () => $("keys").showModal(),
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

// ---- Live updates

function startUpdates(list) {
  const live = $("live");
  let source = null;
  let address = list.dataset.updates;
  let retry = 2000;
  let stopped = false;
  let arrivals = [];
  let moved = -Infinity;

  // A click that was aimed before the rows moved would open, and record, a message nobody meant.
  list.addEventListener("click", (event) => {
    if (event.detail > 0 && performance.now() - moved < 350) event.preventDefault();
  });

  const show = (text, on) => { live.hidden = false; live.textContent = text; live.classList.toggle("on", on); };

  const remember = (event) => { if (event.lastEventId) address = address.replace(/after=\d+/, `after=${event.lastEventId}`); };

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

  const sent = (event) => {
    remember(event);
    const { id, html } = JSON.parse(event.data);
    if ($(`message-${id}`)) return;
    const row = rowFrom(html);
    const height = document.documentElement.scrollHeight;
    $("empty")?.remove();
    row.classList.add("fresh");
    list.prepend(row);
    moved = performance.now();
    // Where the browser does not hold the scroll position by itself, what is being read must not slide away.
    if (scrollY > 0 && !CSS.supports("overflow-anchor", "auto")) scrollBy(0, document.documentElement.scrollHeight - height);
    announce(row.querySelector(".who bdi").textContent);
  };

  const deleted = (event) => {
    remember(event);
    const { id, html } = JSON.parse(event.data);
    const old = $(`message-${id}`);
    if (!old) return;
    const row = rowFrom(html);
    const focused = old.contains(document.activeElement);
    // The update is the same for everybody; only the old row knows whether it was the reader's own.
    row.querySelector(".who").replaceWith(old.querySelector(".who"));
    old.replaceWith(row);
    if (focused) {
      row.tabIndex = -1;
      row.focus({ preventScroll: true });
    }
  };

  const close = () => { source?.close(); source = null; };

  const reload = () => {
    stopped = true;
    close();
    const link = Object.assign(document.createElement("a"), { href: "/messages", textContent: "show them" });
    show("New messages: ", true);
    live.append(link);
    $("news").textContent = "There are new messages. Load the page again to see them.";
  };

  const open = () => {
    if (source || stopped || leaving || document.hidden) return;
    source = new EventSource(address);
    source.onopen = () => { retry = 2000; show("Live", true); };
    source.onerror = async () => {
      show("Reconnecting…", false);
      if (source?.readyState !== EventSource.CLOSED) return;
      // The browser gives up after a refusal: the session may be over, or the site is starting again.
      close();
      await session.check();
      setTimeout(open, retry);
      retry = Math.min(retry * 2, 60_000);
    };
    source.addEventListener("sent", sent);
    source.addEventListener("deleted", deleted);
    source.addEventListener("reload", reload);
    source.addEventListener("ended", () => session.check());
  };

  // An open stream holds one of the few connections a browser grants a site: a hidden page gives its own back.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}

// ---- The end of the session

/** Seconds before the end at which the page warns. */
const WARN = 120;

const session = {
  end: Date.now() + Number(document.body.dataset.endsIn) * 1000,
  absolute: document.body.dataset.absolute === "true",
  dismissed: false,
  timer: 0,
  asked: 0,

  left() { return Math.max(0, Math.ceil((this.end - Date.now()) / 1000)); },

  take({ ends_in_seconds, absolute }) {
    this.end = Date.now() + Math.max(1, ends_in_seconds) * 1000;
    this.absolute = absolute;
    this.tick();
  },

  /** Another tab may have been active since: only the site knows when the session ends. */
  async check() {
    this.asked = Date.now();
    const reply = await ask("/session");
    if (reply?.ok) this.take(await reply.json());
    return reply?.ok ?? false;
  },

  /** At least every 15 seconds, so that a computer that slept notices soon after it wakes. */
  async tick() {
    clearTimeout(this.timer);
    if (leaving) return;
    const left = this.left();
    if (left > WARN) {
      if ($("ending").open) $("ending").close();
      this.dismissed = false;
    } else if (left === 0) {
      if (!(await this.check())) leave();
      return;
    } else if (Date.now() - this.asked > 10_000) {
      this.asked = Date.now();
      const known = await this.check();
      if (known) return;
    }
    if (this.left() <= WARN) this.warn();
    this.timer = setTimeout(() => this.tick(), left > WARN ? Math.min(15_000, (left - WARN) * 1000) : 1000);
  },

  warn() {
    const dialog = $("ending");
    if (leaving || this.dismissed) return;
    const left = this.left();
    $("ending-left").textContent = minutes(left);
    if ([60, 30, 10].includes(left)) $("ending-said").textContent = `${left} seconds left`;
    if (dialog.open) return;
    $("ending-why").textContent = this.absolute ? $("ending-why").dataset.absolute : $("ending-why").dataset.idle;
    $("ending-stay").hidden = this.absolute;
    $("ending-close").hidden = !this.absolute;
    $("ending-problem").hidden = true;
    if ($("keys").open) $("keys").close();
    dialog.showModal();
  },

  async stay() {
    const reply = await ask("/session/stay", {});
    $("ending-problem").hidden = reply?.ok ?? false;
    if (reply?.ok) this.take(await reply.json());
  },

  start() {
    $("ending-stay").addEventListener("click", () => this.stay());
    $("ending-close").addEventListener("click", () => { this.dismissed = true; $("ending").close(); });
    $("ending").addEventListener("cancel", (event) => event.preventDefault());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.tick(); });
    addEventListener("pageshow", async (event) => {
      if (!event.persisted) return;
      // A page that the browser kept may belong to somebody who has signed out since.
      document.body.hidden = true;
      if (!(await this.check())) return leave();
      document.body.hidden = false;
      if (draft) draft.sending = false;
      else location.reload();
    });
    this.tick();
  },
};

// ---- Writing

/** At most one save in so many milliseconds: each writes a row into the audit log. */
const SAVE_EVERY = 20_000;

const draft = $("compose") && {
  form: $("compose"),
  saved: "",
  stored: false,
  sending: false,
  timer: 0,

  fields() {
    const { key, subject, body } = this.form.elements;
    return { key: key.value, subject: subject.value, body: body.value };
  },
  text() { const { subject, body } = this.fields(); return `${subject}\n${body}`; },
  unsaved() { return !this.sending && this.text() !== this.saved && this.text().trim() !== ""; },

  say(text, failed = false) {
    $("saved").textContent = text;
    $("saved").classList.toggle("failed", failed);
  },

  async save() {
    clearTimeout(this.timer);
    this.timer = 0;
    const text = this.text();
    if (this.sending || leaving || text === this.saved) return;
    const empty = text.trim() === "";
    if (empty && !this.stored) return;
    const reply = await ask(empty ? "/draft/discard" : "/draft", this.fields());
    if (reply?.ok || reply?.type === "opaqueredirect") {
      this.saved = text;
      this.stored = !empty;
      const now = new Date().toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
      this.say(empty ? "" : `Draft saved ${now}`);
    } else if (!leaving) {
      this.say("The draft could not be saved. What you wrote is still here; it is tried again.", true);
      this.later();
    }
  },

  later() { this.timer ||= setTimeout(() => this.save(), SAVE_EVERY); },

  /** The page goes away: whatever is not saved yet is sent along. Browsers carry at most 64 KiB past the end of a page. */
  saveOnLeaving() {
    if (leaving || !this.unsaved()) return;
    const body = withToken(this.fields());
    this.saved = this.text();
    fetch("/draft", { method: "POST", body, keepalive: String(body).length < 60_000 }).catch(() => { this.saved = ""; });
  },

  count(field) {
    const limit = Number(field.dataset.max);
    const length = [...field.value].length;
    const note = $(`${field.id}-count`);
    note.dataset.hint ??= note.textContent;
    const [used, most] = [length, limit].map((number) => number.toLocaleString("en-GB"));
    const over = (length - limit).toLocaleString("en-GB");
    note.textContent = length > limit ? `${used} characters, ${over} too many` : length ? `${used} of ${most} characters` : note.dataset.hint;
    note.classList.toggle("over", length > limit);
  },

  start() {
    const counted = this.form.querySelectorAll("[data-max]");
    counted.forEach((field) => this.count(field));
    this.stored = this.form.querySelector(".draft") !== null;
    // A form that came back with a fault holds text that is stored nowhere else.
    if ($("errors")) { $("errors").focus(); this.later(); } else this.saved = this.text();
    if (!$("errors") && this.text().trim() === "") this.form.elements.subject.focus();
    this.form.addEventListener("input", (event) => { if (event.target.dataset.max) this.count(event.target); this.later(); });
    this.form.addEventListener("submit", (event) => {
      if (this.sending) return event.preventDefault();
      this.sending = true;
      this.say("Sending…");
      // Should the answer never come, sending again is safe: the form's key makes it one message.
      setTimeout(() => { this.sending = false; this.say(""); }, 8000);
    });
    this.form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); this.form.requestSubmit($("send")); }
    });
    addEventListener("beforeunload", (event) => { if (!leaving && this.unsaved()) event.preventDefault(); });
    addEventListener("pagehide", () => this.saveOnLeaving());
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.save(); });
  },
};

// ---- Emergency access

/** A link carries the one-time code behind its `#`, which browsers send nowhere; it goes into the form, and out of the address. */
function takeCode(field) {
  const code = decodeURIComponent(location.hash.slice(1));
  if (!code) return;
  field.value = code;
  history.replaceState(history.state, "", location.pathname);
}

// ---- Begin

showLocalTimes(document);
const code = $("code");
if (code) {
  takeCode(code);
  addEventListener("hashchange", () => takeCode(code));
}
const notice = document.querySelector(".notice");
if (notice) {
  // Said once: loading the page again must not say it again. A screen reader hears only what changes after loading.
  const address = new URL(location);
  address.searchParams.delete("notice");
  history.replaceState(history.state, "", address);
  setTimeout(() => { notice.textContent = notice.textContent; }, 250);
}
if (signedIn) {
  session.start();
  startKeys();
  draft?.start();
  const list = $("rows");
  if (list?.dataset.updates) startUpdates(list);
}
