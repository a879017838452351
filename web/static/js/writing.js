
// ---- Writing a message: counting its characters, and sending it without leaving the page, so that nothing is lost when the
// site cannot be reached. The form's key makes it one message, however often it is sent.

/** The site takes a form that comes slowly for 20 seconds; then it needs its time. In milliseconds. */
const SEND_TIMEOUT = 30_000;
/** Between two tries, in milliseconds: twice as long each time. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [2_000, 30_000];

/** Why the site did not take a message, where its answer is not a form that says so. */
const REASONS = {
  408: "the connection is too slow", 413: "it is too long. Make it shorter, or send it in parts",
  429: "the site was asked too often", 500: "something went wrong on the site",
};
const CHANGED = "Not sent: you have changed it. Send it when it is ready.";

const sending = {
  underWay: false,
  pause: FIRST_PAUSE,
  /** Until the next try; 0 when there is none. */
  timer: 0,
  /** The site has said that it did not take the message: until the next try, it is a draft. */
  refused: false,

  /** Whether a message is on its way or will be: it may have arrived, for all that the page knows. */
  pending() { return this.underWay || (this.timer !== 0 && !this.refused); },

  say(text) {
    $("unsent").hidden = text === "";
    // Said again, it would be read aloud again.
    if ($("unsent").textContent !== text) $("unsent").textContent = text;
  },

  async send() {
    this.stop();
    if (this.underWay || draft.done || session.over) return;
    this.underWay = true;
    this.refused = false;
    draft.say("Sending…");
    const fields = draft.fields();
    const reply = await this.post(fields);
    this.underWay = false;
    // What was typed at the end of a session is kept by the site as a draft.
    if (session.over) return;
    draft.say("");
    const page = reply?.text ? new DOMParser().parseFromString(reply.text, "text/html") : null;
    if (reply && json(reply).sent) this.arrived(fields, json(reply).next);
    else if ([409, 422].includes(reply?.status) && page.getElementById("compose")) this.showFaults(page);
    else this.failed(reply, page, fields);
  },

  async post(fields) {
    const once = () => ask(draft.form.getAttribute("action"), fields, { tries: 1, timeout: SEND_TIMEOUT });
    const reply = await once();
    // The page may go on in a newer session of the same person, whose token is another.
    return reply?.status === 403 && (await session.check()) === "live" ? once() : reply;
  },

  arrived(fields, next) {
    this.say("");
    tell({ sent: fields.key, session: session.id });
    if (!sameDraft(fields, draft.fields())) {
      draft.show({ sent: true });
      return;
    }
    draft.done = true;
    // The page may be there already, but for what stands behind the #.
    const before = location.pathname + location.search;
    location.assign(next);
    if (new URL(next, location).pathname + new URL(next, location).search === before) location.reload();
  },

  /** The site has sent the form back with what is wrong: it takes the place of this one, with what stands here by now. */
  showFaults(page) {
    const written = draft.fields();
    document.title = page.title;
    head.show();
    document.querySelector("main").replaceChildren(...page.querySelector("main").childNodes);
    takeForm();
    const { subject, body, person, team, urgent, policy } = written;
    draft.fill({ subject, body, person, team, urgent, policy });
  },

  failed(reply, page, fields) {
    // Whatever is no answer of the site's comes from something in between, as a page on which one accepts a network's rules.
    const passes = !reply || reply.status < 400 || [408, 429].includes(reply.status) || reply.status >= 500;
    const why = this.reason(reply, page, passes);
    if (!passes) this.say(reply.status === 413 ? why : `${why} What you wrote is still here.`);
    else if (!sameDraft(fields, draft.fields())) this.say(CHANGED);
    else {
      this.say(`${why} Trying again.`);
      this.refused = reply?.status === 429;
      this.timer = setTimeout(() => this.send(), Math.max(this.pause, (reply?.wait || 0) * 1000));
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    }
    if (!this.pending()) draft.later();
  },

  /** In the words of the site's form, where it says why. What comes after its first sentence asks to send it again. */
  reason(reply, page, passes) {
    const told = page?.querySelector("#errors li")?.textContent;
    if (told) return `Not sent. ${passes ? (told.match(/^.*?\.(?=\s|$)/)?.[0] ?? told) : told}`;
    if (!reply || reply.status < 400) return "Not sent: no connection.";
    const unknown = reply.status > 500 ? "the site is not ready" : `the site refused it (${reply.status})`;
    return `Not sent: ${REASONS[reply.status] ?? unknown}.`;
  },

  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
  },

  /** What its author changes meanwhile goes out when its author says so. */
  changed() {
    if (!this.timer) return;
    this.stop();
    this.say(CHANGED);
  },
};

function showCount(field) {
  const limit = Number(field.dataset.max);
  const length = [...field.value].length;
  const note = $(`${field.id}-count`);
  note.dataset.hint ??= note.textContent;
  const [used, most] = [length, limit].map((number) => number.toLocaleString("en-GB"));
  const over = (length - limit).toLocaleString("en-GB");
  note.textContent = length > limit ? `${used} characters, ${over} too many` : length ? `${used} of ${most} characters` : note.dataset.hint;
  note.classList.toggle("over", length > limit);
}

/** Takes the form of the page over. */
function takeForm() {
  const form = $("compose");
  recipients.start(form);
  draft.begin(form);
  const counted = form.querySelectorAll("[data-max]");
  counted.forEach(showCount);
  if ($("errors")) $("errors").focus();
  else if (form.elements.subject.type !== "hidden") {
    const { subject, body } = form.elements;
    // Who continues a draft writes on at its end.
    body.setSelectionRange(body.value.length, body.value.length);
    (draft.text().trim() === "" ? subject : body).focus();
  }
  form.addEventListener("filled", () => {
    counted.forEach(showCount);
    sending.changed();
  });
  form.addEventListener("input", (event) => {
    if (event.target.dataset.max) showCount(event.target);
    sending.changed();
    draft.typed();
  });
  form.addEventListener("submit", (event) => {
    if (event.submitter?.id === "cancel") {
      event.preventDefault();
      leave();
      return;
    }
    // Discarding goes its own way.
    if (event.submitter?.hasAttribute("formaction")) {
      draft.done = true;
      return;
    }
    event.preventDefault();
    sending.pause = FIRST_PAUSE;
    sending.send();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit($("send")); }
  });
}

/** Away from the form, and what was written is kept or discarded as its author says. */
async function leave() {
  const text = draft.text().trim();
  const go = () => location.assign("/messages");
  if (text === "" && !draft.stored) return go();
  $("leaving").returnValue = "";
  $("leaving").showModal();
  await new Promise((done) => $("leaving").addEventListener("close", done, { once: true }));
  if ($("leaving").returnValue === "keep") {
    draft.save();
    await draft.saving;
    // Where it could not be saved, the page has said so.
    if (!draft.written()) go();
  } else if ($("leaving").returnValue === "discard") {
    const reply = await ask("/draft/discard", draft.fields());
    if (reply?.status === 204) {
      draft.done = true;
      location.assign("/messages?notice=discarded");
    } else draft.say("The draft could not be discarded. Try again.", true);
  }
}

function startWriting() {
  draft.start();
  takeForm();
  addEventListener("online", () => { if (sending.timer) sending.send(); });
  session.atEnd.push(() => sending.stop());
  // Brought back by the browser, the form is the one that was sent: sent again as it is, it makes no second message.
  addEventListener("pageshow", (event) => { if (event.persisted) { draft.done = false; draft.say(""); } });
}
