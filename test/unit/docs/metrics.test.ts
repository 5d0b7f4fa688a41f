import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { ROOT, read } from '../../support/pages.js';

const ROOMS = ['activities', 'gateway', 'runs', 'runtime', 'stores', 'telemetry', 'temporal', 'workers'];
const SOURCES = ROOMS.flatMap((room) =>
  readdirSync(path.join(ROOT, room), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => read(path.join(room, file))),
).join('\n');

it('the page of metrics has each metric of the sources with its labels, and no other', () => {
  const full = [...SOURCES.matchAll(/name: '(millrace_\w+)',\s*help:\s*'[^']*',(?:\s*labelNames: \[([^\]]*)\])?/g)];
  const own = new Map(
    full.map(([, name = '', labels = '']) => [name, [...labels.matchAll(/'(\w+)'/g)].map(([, label]) => label)]),
  );
  for (const [, name = ''] of SOURCES.matchAll(/gauge\(\s*'(millrace_\w+)'/g)) {
    own.set(name, name.startsWith('millrace_store_') ? ['store'] : []);
  }
  const named = new Set([...SOURCES.matchAll(/'(millrace_[a-z_]+)'/g)].map(([, name = '']) => name));
  // The platform of KServe models is no metric.
  expect([...named].filter((name) => !own.has(name))).toEqual(['millrace_pipeline']);
  const rows = [...read('docs/reference/metrics.md').matchAll(/^\| `(millrace_\w+)(?:\{([^}]*)\})?`/gm)];
  const listed = new Map(rows.map(([, name = '', labels = '']) => [name, labels.split(', ').filter(Boolean)]));
  expect(Object.fromEntries([...listed].sort())).toEqual(Object.fromEntries([...own].sort()));
});
