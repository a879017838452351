
// ---- The end of a session. Whatever ends it clears every tab of the browser at once, and each says why.

/** Seconds before the end at which the page warns. */
const WARN = 120;
/** A page that is looked at asks whether its session lives when it has not heard so for so long, in milliseconds. */
const ASK_EVERY = 15_000;
/** What a page showed this long after its last answer is covered when somebody comes back to it, until there is another. */
const STALE = 30_000;
/** Without one, for so long. A page from the browser's history waits for the answer, or for its own end. */
const COVERED = 3_000;
/** What is being written at the end is kept within so many milliseconds, or is said not to be. */
const HAND_IN_TIMEOUT = 4_000;
/** The sign-in page may tell so much later, in milliseconds, why the cookie was gone. */
const LATE = 20_000;

const minutesAndSeconds = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const words = $("cleared")?.dataset;

const session = {
  id: Number(document.body.dataset.session),
  person: Number(document.body.dataset.person),
  end: Date.now() + Number(document.body.dataset.endsIn) * 1000,
  absolute: document.body.dataset.absolute === "true",
  /** Everything is off the screen, and nothing more happens on this page. */
  over: false,
  endedAt: 0,
  /** What is to be kept of a page that goes: the fields of a draft, or null. The page for writing sets it. */
  rescue: () => null,
  /** Where they are handed in. */
  handInTo: "/draft",
  /** Saves what is being written, while the session lives. The page for writing sets it. */
  save: async () => {},
  /** Called once when it is over. */
  atEnd: [],
  /** A form waits until what is being written is saved. */
  saving: false,
  /** It goes now. */
  leaving: false,
  dismissed: false,
  timer: 0,
  asked: 0,
  answered: Date.now(),
  asking: null,
  why: null,

  left() { return Math.max(0, Math.ceil((this.end - Date.now()) / 1000)); },

  /** The site has just shown that the session lives. */
  confirmed() { this.answered = Date.now(); },

  /** Milliseconds until it is time to ask. */
  asksIn() { return Math.max(this.asked, this.answered) + ASK_EVERY - Date.now(); },

  /** Asks the site: "live", "over", or "unknown" where it does not answer. Other tabs may have been active since, so
   *  that only the site knows when the session ends. */
  check() {
    this.asking ??= this.inquire().finally(() => { this.asking = null; });
    return this.asking;
  },

  async inquire() {
    this.asked = Date.now();
    const reply = await ask("/session");
    if (this.over) return "over";
    if (reply?.status === 401) {
      this.clear(json(reply).ended ?? words.ended);
      return "over";
    }
    const now = reply?.status === 200 ? json(reply) : {};
    if (!now.session) return "unknown";
    if (now.person !== this.person) {
      this.clear(words.other, { ours: false });
      return "over";
    }
    this.take(now);
    return "live";
  },

  /** The same person may have signed in again: the page goes on in the new session. */
  take(now) {
    this.id = now.session;
    for (const field of document.querySelectorAll("input[name=csrf]")) field.value = now.csrf;
    this.end = Date.now() + Math.max(1, now.ends_in_seconds) * 1000;
    this.absolute = now.absolute;
    this.confirmed();
    this.tick();
  },

  async tick() {
    clearTimeout(this.timer);
    if (this.over) return;
    const left = this.left();
    if (left > WARN) {
      if ($("ending").open) $("ending").close();
      this.dismissed = false;
    }
    // Its time is up, or it was asleep when it was: nothing is shown while the site is asked.
    if (left === 0) {
      document.body.hidden = true;
      if ((await this.check()) === "unknown") this.clear(words.ended);
      else document.body.hidden = false;
      return;
    }
    const due = this.asksIn() <= 0 && !document.hidden;
    if (due || (left <= WARN && Date.now() - this.asked > 10_000)) {
      // An answer comes back here by itself.
      if ((await this.check()) !== "unknown") return;
    }
    if (this.left() <= WARN) this.warn();
    clearTimeout(this.timer);
    const wait = document.hidden ? ASK_EVERY : this.asksIn();
    this.timer = setTimeout(() => this.tick(), left > WARN ? Math.min(wait, (left - WARN) * 1000) : 1000);
  },

  warn() {
    const dialog = $("ending");
    if (this.over || this.dismissed) return;
    const left = this.left();
    $("ending-left").textContent = minutesAndSeconds(left);
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
    if (this.over) return;
    const now = reply ? json(reply) : {};
    $("ending-problem").hidden = Boolean(now.session);
    if (now.session) this.take(now);
  },

  /** Takes everything off the page, says why, tells the other tabs, and hands in what was being written. `ours`: the
   *  browser still has the cookie of this session, or none. */
  async clear(why, { ours = true } = {}) {
    if (this.over) return;
    // Another tab may have heard only that it is over.
    if (why === words.ended) why = this.why ?? why;
    const unsaved = this.rescue();
    const form = unsaved && withToken(unsaved);
    this.over = true;
    clearTimeout(this.timer);
    if (ours) tell({ ended: why, session: this.id });
    this.atEnd.forEach((end) => end());
    const note = this.showWhy(why, ours);
    this.endedAt = Date.now();
    if (!form) return;
    const kept = ours && (await this.handIn(form));
    note.append(Object.assign(document.createElement("p"), { textContent: kept ? words.kept : words.lost }));
  },

  /** Whether the site has kept the draft of a page that has just been cleared. */
  async handIn(form) {
    const reply = await answer(this.handInTo, { method: "POST", body: form }, HAND_IN_TIMEOUT);
    return reply?.status === 204 || (reply !== null && json(reply).kept_draft === true);
  },

  /** A form takes the page away, as signing out or an answer to something urgent. What is being written is saved before, so
   *  that the next page has it; where that fails, the browser asks before it goes. */
  async leaveBy(event) {
    const { target: form, submitter } = event;
    if (this.leaving || event.defaultPrevented || form.getAttribute("method") === "dialog" || !this.rescue()) return;
    event.preventDefault();
    if (this.saving) return;
    this.saving = true;
    await Promise.race([this.save(), pause(HAND_IN_TIMEOUT)]);
    this.saving = false;
    if (this.over) return;
    this.leaving = true;
    form.requestSubmit(submitter);
    this.leaving = false;
  },

  showWhy(why, ours) {
    const page = $("cleared").content.cloneNode(true);
    const [note, link] = [page.querySelector(".banner"), page.querySelector("a.primary")];
    note.firstElementChild.textContent = why;
    if (ours) link.href = `/sign-in/start?${new URLSearchParams({ next: location.pathname + location.search })}`;
    else Object.assign(link, { href: "/messages", textContent: words.go });
    document.title = "Signed out – Wardpost";
    document.body.className = "entrance";
    for (const name of Object.keys(document.body.dataset)) delete document.body.dataset[name];
    document.body.replaceChildren(page);
    document.body.hidden = false;
    document.querySelector("h1").focus();
    return note;
  },

  /** Somebody comes back to the page, which may have slept: others may have come and gone. */
  async shown() {
    if (this.over) return;
    const focused = document.activeElement;
    const covered = Date.now() - this.answered > STALE;
    if (covered) document.body.hidden = true;
    await Promise.race([this.check(), pause(COVERED)]);
    if (this.over) return;
    if (covered && this.left() > 0) {
      document.body.hidden = false;
      focused?.focus();
    }
    this.tick();
  },

  /** The browser kept the page, and brings it back. */
  async restored() {
    if (this.over) return;
    document.body.hidden = true;
    while ((await this.check()) === "unknown") {
      if (this.left() === 0) this.clear(words.ended);
      else await pause(2000);
    }
    if (this.over) return;
    // Except where somebody writes, what it shows may be old.
    if ($("compose")) document.body.hidden = false;
    else location.reload();
  },

  start() {
    whenSignedOut(() => this.check());
    hear((news) => {
      if (this.over) this.explain(news);
      else if (news.ended && news.session === this.id) this.clear(news.ended);
      else if (news.signedOut) this.signedOut(news.signedOut);
      else if (news.began && news.began !== this.id) this.check();
    });
    tell({ began: this.id });
    document.addEventListener("submit", (event) => this.leaveBy(event));
    $("ending-stay").addEventListener("click", () => this.stay());
    $("ending-close").addEventListener("click", () => { this.dismissed = true; $("ending").close(); });
    $("ending").addEventListener("cancel", (event) => event.preventDefault());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.shown(); });
    addEventListener("pageshow", (event) => { if (event.persisted) this.restored(); });
    this.tick();
  },

  /** A live list may hear of the end before the page that ended it is told: the cookie was gone, and nobody knew why. */
  explain({ signedOut }) {
    const note = document.querySelector(".banner [role=alert]");
    if (signedOut && note.textContent === words.ended && Date.now() - this.endedAt < LATE) note.textContent = signedOut;
  },

  /** The sign-in page was opened in this browser. If it was opened before somebody signed in, the site knows better. */
  async signedOut(why) {
    this.why = why;
    document.body.hidden = true;
    if ((await this.check()) === "unknown") this.clear(why);
    if (this.over) return;
    this.why = null;
    document.body.hidden = false;
  },
};
