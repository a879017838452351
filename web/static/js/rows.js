
// ---- The form of a template: what is written in its rows is kept by the site as a draft, and sent without leaving the page.

const rows = {
  form: null,
  /** The text that the site has. */
  saved: "",
  /** It was sent or discarded: nothing is to be kept of it. */
  done: false,
  underWay: false,
  timer: 0,
  saving: Promise.resolve(),

  fields() {
    const fields = Object.fromEntries(new FormData(this.form));
    delete fields.csrf;
    return fields;
  },

  text() { return JSON.stringify({ ...this.fields(), seen: "" }); },
  written() { return !this.done && this.text() !== this.saved; },

  say(text, failed = false) {
    $("saved").textContent = text;
    $("saved").classList.toggle("failed", failed);
  },

  unsent(text) {
    $("unsent").hidden = text === "";
    if ($("unsent").textContent !== text) $("unsent").textContent = text;
  },

  // ---- Keeping

  later() { this.timer ||= setTimeout(() => this.save(), SAVE_EVERY); },

  /** Gives whether the site has all of it. */
  save() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.saving = this.saving.then(() => this.saveNow());
    return this.saving;
  },

  async saveNow() {
    if (this.underWay || session.over || !this.written()) return true;
    const text = this.text();
    const reply = await ask(this.form.dataset.draft, this.fields());
    if (this.done || session.over) return true;
    if (reply?.status === 204) {
      this.saved = text;
      this.form.elements.seen.value = reply.etag?.replace(/^W\/|"/g, "") ?? "";
      this.say(`Draft saved ${clockTime()}`);
      return true;
    }
    const told = reply?.status === 409 ? json(reply) : {};
    if (told.sent) this.unsent("This form has already been sent. What you change here does not go with it; send it again for that.");
    else if (told.draft) {
      // Saving again replaces what is there, once its author has been told of it.
      this.form.elements.seen.value = told.draft.seen;
      this.unsent(`You have written in this form in another tab or browser, too: what is there was saved at ${clockTime(told.draft.saved_at)}. Nothing is saved here. Save to replace it, or load the page again to see it.`);
    } else {
      this.say("The draft could not be saved. What you wrote is still here; it is tried again.", true);
      this.later();
    }
    return false;
  },

  /** The page goes away: what is not saved yet is sent along. */
  saveOnLeaving() {
    if (session.over || this.underWay || !this.written()) return;
    const body = withToken(this.fields());
    const headers = { accept: "application/json" };
    this.saved = this.text();
    fetch(this.form.dataset.draft, { method: "POST", body, headers, keepalive: String(body).length < CARRIED }).catch(() => { this.saved = ""; });
  },

  // ---- Sending

  async send() {
    if (this.underWay || this.done || session.over) return;
    await this.saving;
    this.underWay = true;
    this.say("Sending…");
    const reply = await ask(this.form.getAttribute("action"), this.fields(), { tries: 1, timeout: SEND_TIMEOUT });
    this.underWay = false;
    if (session.over) return;
    this.say("");
    const page = reply?.text ? new DOMParser().parseFromString(reply.text, "text/html") : null;
    if (reply && json(reply).sent) {
      this.done = true;
      location.assign(json(reply).next);
    } else if ([409, 422].includes(reply?.status) && page.getElementById("rows-form")) this.showFaults(page);
    else {
      const passes = !reply || reply.status < 400 || [408, 429].includes(reply.status) || reply.status >= 500;
      this.unsent(`${sending.reason(reply, page, passes)} What you wrote is still here. Send it again.`);
      this.later();
    }
  },

  showFaults(page) {
    document.title = page.title;
    document.querySelector("main").replaceChildren(...page.querySelector("main").childNodes);
    this.take($("rows-form"));
  },

  // ---- Beginning

  take(form) {
    this.form = form;
    // A form that came back with a fault holds text that is stored nowhere else.
    if ($("errors")) {
      $("errors").focus();
      this.later();
    } else this.saved = this.text();
    form.addEventListener("input", () => this.later());
    form.addEventListener("submit", async (event) => {
      const { submitter } = event;
      if (submitter && "discard" in submitter.dataset) {
        this.done = true;
        return;
      }
      event.preventDefault();
      if (!submitter || !("save" in submitter.dataset)) this.send();
      else if (await this.save()) this.unsent("");
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit($("send")); }
    });
  },

  start() {
    this.take($("rows-form"));
    session.rescue = () => (this.written() ? this.fields() : null);
    session.handInTo = this.form.dataset.draft;
    session.save = () => this.save();
    addEventListener("beforeunload", (event) => {
      if (!session.over && (this.written() || this.underWay)) event.preventDefault();
    });
    addEventListener("pagehide", () => this.saveOnLeaving());
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.save(); });
  },
};
