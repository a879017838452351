
// ---- What the tabs of one browser tell each other. It is kept nowhere, and no other site hears it.
//
// { began }            a page of this session was opened
// { ended, session }   why this session is over
// { signedOut }        the sign-in page is open, so nobody is signed in; in words
// { draft, session }   a draft was saved, with its text and version
// { sent, session }    the form with this key was sent
// { urgent }           something may have changed for this session of what is urgent or for its person

const channel = new BroadcastChannel("wardpost");

/** Tells all other tabs. */
const tell = (news) => channel.postMessage(news);

/** Calls `listener` with whatever another tab tells. */
const hear = (listener) => channel.addEventListener("message", (event) => listener(event.data));
