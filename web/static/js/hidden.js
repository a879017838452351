
// ---- A tab behind others. Browsers slow its timers to one a minute, so that it could not ask in time whether something is urgent;
// what comes from the network is not slowed. So the browser's hidden tabs keep one stream, which says when to ask, and tells nothing
// else. One for all of them: it takes one of the few connections that a browser grants a site, and a slot of the site's.

const hidden = {
  stream: keepStream(() => "/messages/updates?only=duties", {
    duties() {
      urgent.look();
      tell({ urgent: session.id });
    },
  }),
  /** Ends the wait for the lock, or the keeping of it. */
  stop: null,
  /** The page is being left, and perhaps kept by the browser. */
  left: false,

  start() {
    hear((news) => { if (news.urgent === session.id) urgent.look(); });
    // A page that came unencrypted from another computer has no locks: there a question a minute has to do.
    if (!navigator.locks) return;
    const turn = () => (document.hidden && !this.left && !session.over ? this.begin() : this.end());
    document.addEventListener("visibilitychange", turn);
    addEventListener("pagehide", () => { this.left = true; turn(); });
    addEventListener("pageshow", () => { this.left = false; turn(); });
    session.atEnd.push(() => this.end());
    turn();
  },

  /** The tab that holds the lock has the stream; the next one gets it when that tab comes to the front or is closed. */
  begin() {
    if (this.stop) return;
    const { signal } = (this.stop = new AbortController());
    const keep = () => new Promise((done) => {
      if (signal.aborted) return done();
      signal.addEventListener("abort", () => { this.stream.close(); done(); });
      this.stream.open();
    });
    // It rejects where the wait was ended.
    navigator.locks.request("wardpost-hidden", { signal }, keep).catch(() => {});
  },

  end() {
    this.stop?.abort();
    this.stop = null;
  },
};
