// @ts-check
// Several tabs show the songs that wait, and one of them at a time sends.

const NAME = "stemwright-sender";
const LEASE_MS = 6000;
const RENEW_MS = 2000;

/**
 * Does some work while no other tab does it; waits for its turn first.
 * @param {() => Promise<void>} work
 */
export async function inTurn(work) {
  if (navigator.locks) await navigator.locks.request(NAME, work);
  else await withLease(work);
}

/**
 * Locks are for secure pages alone; a server in the house may have none. A lease in local storage does it there.
 * @param {() => Promise<void>} work
 */
async function withLease(work) {
  const own = Math.random().toString(36).slice(2);
  const holder = () => JSON.parse(localStorage.getItem(NAME) ?? "null");
  const renew = () => localStorage.setItem(NAME, JSON.stringify({ own, until: Date.now() + LEASE_MS }));
  for (;;) {
    const held = holder();
    if (!held || held.until < Date.now()) {
      renew();
      await pause(200); // another tab may have done the same
      if (holder()?.own === own) break;
    }
    await pause(RENEW_MS);
  }
  const timer = setInterval(renew, RENEW_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
    localStorage.removeItem(NAME);
  }
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
