
// ---- Talking to the site.

/** Waits longer than this after having asked too often are left to the caller, in seconds. */
const LONGEST_WAIT = 5;
/** An answer that has not come by then does not come, in milliseconds. */
const ANSWER_TIMEOUT = 10_000;

let onSignedOut = () => {};

/** `listener` is called, and waited for, when an answer says that the session is over. */
const whenSignedOut = (listener) => { onSignedOut = listener; };

/** The fields of a form with the token that the site wants to see in each. A list is a name with each of its values. */
function withToken(fields) {
  const token = document.querySelector("input[name=csrf]")?.value ?? "";
  const pairs = Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one) => [name, one ?? ""]));
  return new URLSearchParams([["csrf", token], ...pairs]);
}

/** Asks the site, with `fields` as a form. Gives null when no whole answer came in time. Told that it was too often, which
 *  the ward's other computers may have caused, it asks again when it may. With `etag` the answer is 304 where it is the same. */
async function ask(path, fields, { tries = 3, timeout = ANSWER_TIMEOUT, etag = null } = {}) {
  const init = fields ? { method: "POST", body: withToken(fields) } : { etag };
  const reply = await answer(path, init, timeout);
  if (reply?.status === 401 && path !== "/session") await onSignedOut();
  if (reply?.status !== 429 || tries === 1 || reply.wait > LONGEST_WAIT) return reply;
  await pause(reply.wait * 1000);
  return ask(path, fields, { tries: tries - 1, timeout, etag });
}

/** One question: the status, the text, the ETag, and how many seconds to wait. The site never leads a script elsewhere: a
 *  redirection comes from something in between, and is no answer. */
async function answer(path, { etag = null, ...init }, timeout) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeout);
  try {
    const reply = await fetch(path, {
      ...init, cache: "no-store", redirect: "error", headers: { accept: "application/json", ...(etag && { "if-none-match": etag }) }, signal: stop.signal,
    });
    return {
      status: reply.status,
      text: await reply.text(),
      etag: reply.headers.get("etag"),
      wait: Number(reply.headers.get("retry-after")),
    };
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/** The JSON of an answer; an empty table when it holds none, as that of a proxy in between. */
function json(reply) {
  try {
    return JSON.parse(reply.text) ?? {};
  } catch {
    return {};
  }
}
