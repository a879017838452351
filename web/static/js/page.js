// The script of the site, in parts that share one scope: assets.rs puts them together, in its order, into one ES module.
// Every page is complete without it. Nothing a person typed or read is kept in the browser: ward computers are shared.

// ---- What every part uses

const $ = (id) => document.getElementById(id);

/** Whether the page is a member's. */
const signedIn = "session" in document.body.dataset;

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** The time of day in the reader's zone: "08:52". */
const clockTime = (time = Date.now()) =>
  new Date(time).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
