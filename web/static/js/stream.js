
// ---- A stream of the site's events that is opened while it is wanted, and opened again where the site has refused it.

/** A connection that is not there after so long, in milliseconds, is tried again. */
const TRY_AGAIN = 15_000;

/** `address` says where it goes on; `events` has a listener for each event by its name. */
function keepStream(address, events) {
  let source = null;
  let wanted = false;
  const drop = () => {
    source?.close();
    source = null;
  };
  const connect = () => {
    if (source || !wanted || session.over) return;
    source = new EventSource(address());
    const listeners = { heartbeat: () => session.confirmed(), ended: () => session.check(), ...events };
    for (const [name, listener] of Object.entries(listeners)) source.addEventListener(name, listener);
    source.onerror = async () => {
      if (source?.readyState !== EventSource.CLOSED) return;
      // The browser gives up after a refusal: the session may be over, or the site is starting again.
      drop();
      await session.check();
      setTimeout(connect, TRY_AGAIN);
    };
  };
  const stream = {
    open() { wanted = true; connect(); },
    close() { wanted = false; drop(); },
  };
  session.atEnd.push(() => stream.close());
  return stream;
}
