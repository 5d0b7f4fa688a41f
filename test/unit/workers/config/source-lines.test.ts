import { expect, it } from 'vitest';
import { lineOf } from '../../../../workers/config/source-lines.js';

const TEXT = `import { defineConfig } from 'millrace/server';
// doors: not here
const doors = [];
export default defineConfig({
  pipelines: './p.ts',
  doors,
  stores: { artifacts: store },
  settings: {
    'MILLRACE_GATEWAY_PORT': 1,
    MILLRACE_KEYS: 'keys.json',
  },
});
`;

it.each<[readonly (string | number)[], number | undefined]>([
  [['pipelines'], 5],
  [['doors'], 6],
  [['doors', 0, 'prefix'], 6],
  [['stores', 'artifacts'], 7],
  [['settings', 'MILLRACE_GATEWAY_PORT'], 9],
  [['settings', 'MILLRACE_KEYS'], 10],
  [['telemetry'], undefined],
  [[], undefined],
])('%j is on line %s', (path, line) => {
  expect(lineOf(TEXT, path)).toBe(line);
});
