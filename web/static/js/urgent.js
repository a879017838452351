
// ---- What is urgent: the bars above every page of those it is for. A page that is open asks whether they are still right, also
// in a tab behind others, and says aloud what is new in them: once, in each tab, which is why it keeps the numbers of what it said.

/** How often the site is asked, in milliseconds. In a tab that nobody has looked at for minutes, browsers make it a minute; what such
 *  a tab needs then, it is told (hidden.js). */
const URGENT_EVERY = 5_000;
/** What was said stays for a screen reader so long, in milliseconds. */
const SAID_FOR = 10_000;
const SAID = "urgent-said";

const urgent = {
  etag: null,
  timer: 0,
  clearing: 0,
  asking: null,
  again: false,
  /** When the site said last what is urgent: the page was made then. */
  heard: Date.now(),
  moved: -Infinity,

  start() {
    this.own();
    this.say();
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      this.say();
      this.look();
    });
    addEventListener("pageshow", (event) => { if (event.persisted) this.look(); });
    session.atEnd.push(() => {
      clearTimeout(this.timer);
      sessionStorage.removeItem(SAID);
      $("icon").href = $("icon").dataset.plain;
    });
    // A click that was aimed before the page moved would do what nobody meant.
    $("main").addEventListener("click", (event) => {
      if (event.detail > 0 && performance.now() - this.moved < 350) event.preventDefault();
    }, true);
    this.wait();
  },

  wait() {
    clearTimeout(this.timer);
    if (!session.over) this.timer = setTimeout(() => this.look(), URGENT_EVERY);
  },

  /** Asks now, and once more where it was asking already: what was answered then may be older. */
  look() {
    this.again = Boolean(this.asking);
    this.asking ??= this.inquire().finally(() => {
      this.asking = null;
      if (this.again) this.look();
      else this.wait();
    });
  },

  async inquire() {
    if (session.over) return;
    const reply = await ask($("urgent-bars").dataset.poll, null, { tries: 1, etag: this.etag });
    const fresh = reply?.status === 200 ? element(reply.text, "urgent-bars") : null;
    if (session.over) return;
    if (fresh && Number(fresh.dataset.session) !== session.id) {
      await session.check();
      return;
    }
    // What something in between has answered is no answer.
    if (fresh || reply?.status === 304) this.hear();
    else if (Date.now() - this.heard > SILENCE && !document.hidden) connection.lose("urgent", this.heard);
    if (fresh) await this.take(fresh, reply.etag);
  },

  hear() {
    this.heard = Date.now();
    session.confirmed();
    connection.restore("urgent");
  },

  async take(fresh, etag) {
    this.etag = etag;
    const old = $("urgent-bars");
    if ($("for-me")) $("for-me").textContent = fresh.dataset.forMe === "0" ? "" : fresh.dataset.forMe;
    $("asked").hidden = fresh.dataset.forMe === "0";
    $("asked").firstElementChild.textContent = fresh.dataset.forMe;
    $("urgent-link").hidden = fresh.dataset.all === "";
    if ($("rows")) markDuties(fresh.dataset);
    const changed = fresh.dataset.state !== old.dataset.state;
    const elsewhere = fresh.dataset.all !== old.dataset.all;
    if (!changed) {
      Object.assign(old.dataset, fresh.dataset);
    } else {
      this.put(old, fresh);
      this.own();
      head.urgent = Boolean(document.querySelector(".bar.loud"));
      head.show();
      this.say();
    }
    if ((changed || elsewhere) && $("board")) await this.refreshBoard();
  },

  /** In the place of what stood there; where somebody was in it with the keyboard, they stay there. */
  put(old, fresh) {
    const focused = old.contains(document.activeElement) ? document.activeElement.id || "main" : null;
    const height = old.offsetHeight;
    showLocalTimes(fresh);
    old.replaceWith(fresh);
    if (fresh.offsetHeight !== height) this.moved = performance.now();
    if (focused) ($(focused) ?? fresh.querySelector("button, a") ?? $("main")).focus({ preventScroll: true });
  },

  /** Subjects are given out, and written down, only where somebody can see them. */
  async refreshBoard() {
    if (document.hidden) return;
    const reply = await ask("/urgent/board");
    const fresh = reply?.status === 200 ? element(reply.text, "board") : null;
    if (fresh && !session.over) this.put($("board"), fresh);
  },

  /** An answer leads back to the page it was given on. */
  own() {
    for (const back of document.querySelectorAll("#urgent-bars input[name=back]")) back.value = location.pathname + location.search;
  },

  /** Says what is new, if there is somebody to hear it. */
  say() {
    if (document.hidden) return;
    const bars = [...document.querySelectorAll("#urgent-bars [data-say]")];
    const kept = JSON.parse(sessionStorage.getItem(SAID) ?? "{}");
    const said = kept.session === session.id ? kept.said : [];
    sessionStorage.setItem(SAID, JSON.stringify({ session: session.id, said: bars.map((bar) => bar.dataset.say) }));
    const news = bars.filter((bar) => !said.includes(bar.dataset.say));
    if (news.length === 0) return;
    const text = news.map((bar) => bar.querySelector(".said").textContent.replace(/\s+/g, " ").trim()).join(". ");
    // A screen reader hears only what changes after the page has loaded.
    clearTimeout(this.clearing);
    setTimeout(() => { $(SAID).textContent = text; }, 250);
    this.clearing = setTimeout(() => { $(SAID).textContent = ""; }, SAID_FOR);
  },
};

/** The element with this id that stands first in a piece of HTML, or null. */
function element(html, id) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  const found = holder.content.firstElementChild;
  return found?.id === id ? found : null;
}
