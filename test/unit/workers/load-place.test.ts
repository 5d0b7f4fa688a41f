import path from 'node:path';
import { expect, it } from 'vitest';
import { loadPlace } from '../../../workers/load-place.js';

const here = (file: string) => path.relative(process.cwd(), file);

it('takes the first frame in a file of the author’s', async () => {
  const error = new Error('no such field');
  error.stack = `Error: no such field
    at check (file:///app/node_modules/zod/index.js:10:2)
    at Object.<anonymous> (file:///app/pipe%20lines.ts:7:21)
    at file:///app/other.ts:1:1`;
  expect(await loadPlace(error, '/app/x.ts')).toBe(`${here('/app/pipe lines.ts')}:7:21`);
});

it('reads the file and the line that a compiler’s message or the head of a stack names', async () => {
  const unsupported = new SyntaxError('/app/x.ts:3: TypeScript enum is not supported');
  unsupported.stack = 'SyntaxError: TypeScript enum is not supported';
  expect(await loadPlace(unsupported, '/app/x.ts')).toBe(`${here('/app/x.ts')}:3`);
  const missing = new SyntaxError('does not provide an export named "a"');
  missing.stack = 'file:///app/y.ts:4\nimport { a } from "./x.ts";';
  expect(await loadPlace(missing, '/app/y.ts')).toBe(`${here('/app/y.ts')}:4`);
});

it('names no place that it does not know', async () => {
  expect(await loadPlace('thrown text', '/app/x.ts')).toBeUndefined();
  const unknown = new Error('nothing is known');
  unknown.stack = 'Error: nothing is known\n    at node:internal/modules/run_main:1:1';
  expect(await loadPlace(unknown, '/app/none.ts')).toBeUndefined();
});
