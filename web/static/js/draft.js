
// ---- The draft: what is being written is kept by the site, and never replaced by an older text. Two tabs or browsers with one
// draft notice each other, and their author chooses.

/** At most one save in so many milliseconds: each writes a row into the audit log. */
const SAVE_EVERY = 20_000;
/** Browsers carry at most 64 KiB past the end of a page. */
const CARRIED = 60_000;

const textOf = ({ subject, body }) => `${subject}\n${body}`;
/** The text, and whom it is for. Whom alone is no draft. */
const wholeOf = (fields) => [textOf(fields), ...recipients.text(fields)].join("\n");
const sameDraft = (one, other) => one.key === other.key && wholeOf(one) === wholeOf(other);
const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const draft = {
  /** The form. It may be replaced by the same with its faults. */
  form: null,
  /** What the site has of this page: the text, and whom it is for. */
  saved: "",
  /** Whether the site has a draft of this page. */
  stored: false,
  /** It was sent, or is being discarded: nothing is to be kept of it. */
  done: false,
  /** What the site has instead, which this page must not replace unseen: `{ draft }` or `{ sent }`. */
  conflict: null,
  /** What another tab has saved while nothing was written here. */
  waiting: null,
  /** What this page sent to be saved since it knows what the site has. */
  tried: [],
  timer: 0,
  /** The saves so far: one comes after the other, since each names what the last one left. */
  saving: Promise.resolve(),

  fields() {
    const { key, seen, subject, body, reply_to: conversation } = this.form.elements;
    return {
      key: key.value, seen: seen.value, subject: subject.value, body: body.value,
      ...(conversation && { reply_to: conversation.value }), ...recipients.fields(this.form),
    };
  },
  fill(fields) {
    for (const name of ["key", "seen", "subject", "body"]) if (fields[name] !== undefined) this.form.elements[name].value = fields[name];
    if (fields.person) recipients.fill(this.form, fields);
    this.form.dispatchEvent(new Event("filled"));
  },
  text() { return textOf(this.fields()); },
  whole() { return wholeOf(this.fields()); },
  /** Whether there is a text that the site has not kept. */
  written() { return !this.done && this.whole() !== this.saved && this.text().trim() !== ""; },

  say(text, failed = false) {
    $("saved").textContent = text;
    $("saved").classList.toggle("failed", failed);
  },

  // ---- Saving

  later() { this.timer ||= setTimeout(() => this.save(), SAVE_EVERY); },

  stopWaiting() {
    clearTimeout(this.timer);
    this.timer = 0;
  },

  save() {
    this.stopWaiting();
    this.saving = this.saving.then(() => this.saveNow());
  },

  /** Whether nothing may be saved: a message that is on its way may have arrived, and is no draft then. */
  held() { return this.done || session.over || sending.pending(); },

  async saveNow() {
    const fields = this.fields();
    if (this.held() || this.conflict || wholeOf(fields) === this.saved) return;
    const empty = textOf(fields).trim() === "";
    if (empty && !this.stored) return;
    this.tried.push(fields);
    const reply = await ask(empty ? "/draft/discard" : "/draft", fields);
    if (this.held()) return;
    if (reply?.status === 204) this.kept(fields, empty, reply.etag);
    else if (reply?.status === 409) this.refused(json(reply));
    else {
      // An old token is one of a session that the page does not know of yet.
      if (reply?.status === 403) await session.check();
      if (session.over) return;
      this.say("The draft could not be saved. What you wrote is still here; it is tried again.", true);
      this.later();
    }
  },

  kept(fields, empty, etag) {
    const seen = etag?.replace(/^W\/|"/g, "") ?? "";
    this.saved = wholeOf(fields);
    this.stored = !empty;
    this.tried = [];
    this.form.elements.seen.value = seen;
    this.say(empty ? "" : `Draft saved ${clockTime()}`);
    if (!empty) tell({ draft: { ...fields, seen, saved_at: Date.now() }, session: session.id });
  },

  /** The page goes away: what is not saved yet is sent along. */
  saveOnLeaving() {
    if (session.over || this.conflict || !this.written()) return;
    const fields = this.fields();
    const body = withToken(fields);
    this.tried.push(fields);
    this.saved = wholeOf(fields);
    fetch("/draft", { method: "POST", body, keepalive: String(body).length < CARRIED }).catch(() => { this.saved = ""; });
  },

  // ---- Another page with a draft

  refused(conflict) {
    // What this page saved itself, when the answer was lost, is no other page's.
    if (conflict.draft && this.tried.some((fields) => sameDraft(fields, conflict.draft))) {
      this.form.elements.seen.value = conflict.draft.seen;
      this.saved = "";
      this.save();
    } else this.show(conflict);
  },

  show(conflict) {
    this.conflict = conflict;
    this.stopWaiting();
    this.say("");
    const { dataset } = $("other");
    $("other").querySelector("p").textContent =
      conflict.sent ? dataset.sent : dataset.draft.replace("{time}", clockTime(conflict.draft.saved_at));
    $("other-keep").textContent = conflict.sent ? dataset.again : dataset.keep;
    $("other-show").hidden = Boolean(conflict.sent);
    $("other").hidden = false;
  },

  /** The two texts change places, as often as one likes: nothing is lost or saved by it. */
  swap() {
    const mine = this.fields();
    this.fill(this.conflict.draft);
    this.conflict.draft = { ...this.conflict.draft, ...mine, seen: this.conflict.draft.seen };
  },

  keep() {
    if (this.conflict.sent) this.fill({ key: newKey(), seen: "" });
    else this.form.elements.seen.value = this.conflict.draft.seen;
    this.resolve();
    this.saved = "";
    this.save();
  },

  resolve() {
    this.conflict = null;
    this.tried = [];
    $("other").hidden = true;
  },

  /** Another tab of this browser has saved or sent. One in which nothing is written is told once something is. */
  told(news) {
    if (this.held() || news.session !== session.id) return;
    const { key, seen, reply_to: conversation } = this.fields();
    if (news.draft && news.draft.reply_to !== conversation) return;
    if (news.sent === key) this.show({ sent: true });
    if (!news.draft || news.draft.seen === seen || this.conflict?.sent) return;
    if (sameDraft(this.fields(), news.draft)) this.adopt(news.draft);
    else if (this.text().trim() === "") this.waiting = news.draft;
    else this.show({ draft: news.draft });
  },

  adopt(other) {
    this.form.elements.seen.value = other.seen;
    this.saved = wholeOf(other);
    this.stored = true;
    if (this.conflict) this.resolve();
  },

  typed() {
    if (this.waiting && !this.conflict) this.show({ draft: this.waiting });
    this.waiting = null;
    this.later();
  },

  // ---- Beginning

  /** Begins with a form as the site sent it. */
  begin(form) {
    this.form = form;
    this.conflict = null;
    this.tried = [];
    this.stored = form.elements.seen.value !== "";
    $("other-show").addEventListener("click", () => this.swap());
    $("other-keep").addEventListener("click", () => this.keep());
    // A form that came back with a fault holds text that is stored nowhere else.
    if ($("errors")) this.later();
    else this.saved = this.whole();
  },

  start() {
    hear((news) => this.told(news));
    session.rescue = () => (this.written() ? this.fields() : null);
    session.save = () => { this.save(); return this.saving; };
    addEventListener("beforeunload", (event) => {
      if (!session.over && (this.written() || sending.pending())) event.preventDefault();
    });
    addEventListener("pagehide", () => this.saveOnLeaving());
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.save(); });
  },
};
