import type { ReadinessSnapshot } from '@dragonfly/telemetry';

/** The page at `/` while there is no console: what this is, how it is, and where to go on. */
export function startPage(snapshot: ReadinessSnapshot): string {
  const conditions = Object.entries(snapshot.conditions)
    .map(([name, { ok, detail }]) => `<li>${escape(name)}: ${ok ? 'ok' : `not ok ${escape(detail ?? '')}`}</li>`)
    .join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Dragonfly manager</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}</style>
</head>
<body>
<h1>Dragonfly manager</h1>
<p>This manager is ${snapshot.ready ? 'ready' : 'not ready yet'}.</p>
<ul>${conditions}</ul>
<ul>
<li><a href="swagger/">REST API</a></li>
<li><a href="readyz">readiness</a></li>
</ul>
</body>
</html>
`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
