/**
 * Asks services whether they are ready: `readiness.mjs NAME URL [NAME URL ...]`.
 *
 * Prints one line per service, `NAME STATE DETAIL`, in the given order. STATE is `ready`, `waiting` (it answers, and DETAIL
 * names the conditions that do not hold yet) or `silent` (nothing answers there). Exit status 0 when all are ready, else 1.
 */
const REQUEST_TIMEOUT_MS = 2_000;

/**
 * @typedef {{ name: string, state: 'ready' | 'waiting' | 'silent', detail: string }} Answer
 * @param {string} name
 * @param {string} url of `/readyz`: JSON `{ conditions: { [name]: { ok, detail? } } }`, 200 when all hold, else 503
 * @returns {Promise<Answer>}
 */
async function ask(name, url) {
  let response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { name, state: 'silent', detail: String(/** @type {NodeJS.ErrnoException} */ (cause).code ?? cause) };
  }
  const text = await response.text().catch(() => '');
  if (response.status === 200) return { name, state: 'ready', detail: '' };
  return { name, state: 'waiting', detail: missingConditions(text) || `HTTP ${response.status}` };
}

/** @param {string} text body of `/readyz` */
function missingConditions(text) {
  try {
    const conditions = /** @type {Record<string, { ok: boolean, detail?: string }>} */ (
      JSON.parse(text).conditions ?? {}
    );
    return Object.entries(conditions)
      .filter(([, condition]) => !condition.ok)
      .map(([condition, { detail }]) => (detail ? `${condition} (${detail})` : condition))
      .join(', ');
  } catch {
    // Not ours: some other program answers on that port. The caller shows the HTTP status instead.
    return '';
  }
}

const [...rest] = process.argv.slice(2);
const questions = [];
while (rest.length >= 2) questions.push(ask(...rest.splice(0, 2)));
const answers = await Promise.all(questions);
for (const { name, state, detail } of answers)
  console.log(`${name} ${state} ${detail.replaceAll(/\s+/g, ' ')}`.trimEnd());
process.exitCode = answers.every(({ state }) => state === 'ready') ? 0 : 1;
