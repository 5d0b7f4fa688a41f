import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { authorFrames, authorStack, isAuthors, placeOf, placeText } from '../../../runtime/author-frames.js';
import { PACKAGE_ROOT } from '../../../runtime/package-root.js';

const HOME = '/home/me/project';
const stacked = (stack: string, cause?: unknown) =>
  Object.assign(new TypeError('no such city', { cause }), { stack: `TypeError: no such city\n${stack}` });

it('an author’s frames are without Node, packages and Millrace', () => {
  const error = stacked(
    [
      `    at Object.parse (file://${HOME}/node_modules/zod/index.js:1:2)`,
      `    at look (file://${HOME}/src/a%20b.ts?t=1:12:5)`,
      '    at async Promise.all (index 0)',
      `    at async ${HOME}/src/pipelines.ts:3:9`,
      `    at runCode (${PACKAGE_ROOT}/dist/activities/stage/serve-stage.js:7:7)`,
      `    at runCode (${PACKAGE_ROOT}/activities/stage/serve-stage.ts:7:7)`,
      '    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)',
      '    at <anonymous>',
    ].join('\n'),
  );
  expect(authorFrames(error).map((frame) => placeText(frame, HOME))).toEqual([
    'src/a b.ts:12:5',
    'src/pipelines.ts:3:9',
  ]);
  expect(authorStack(error, `${HOME}/src`)).toBe(
    'TypeError: no such city\n    at look (a b.ts:12:5)\n    at pipelines.ts:3:9',
  );
});

it('a place is that of the cause, which lies deeper, and of none without an author’s frame', () => {
  const cause = stacked(`    at inner (${HOME}/a.ts:2:2)`);
  const error = stacked(`    at outer (${HOME}/a.ts:9:9)`, cause);
  expect(placeOf(error)).toMatchObject({ line: 2 });
  expect(authorStack(error, HOME)).toContain('caused by TypeError: no such city\n    at inner (a.ts:2:2)');
  for (const each of [undefined, null, 'text', 7, {}, { stack: 7 }, new Proxy({}, {}), stacked('    at x (native)')]) {
    expect(placeOf(each)).toBeUndefined();
  }
  expect(authorStack('text', HOME)).toBe('text');
});

it('a stack is bounded, whatever threw it', () => {
  const many = Array.from({ length: 5_000 }, (_, i) => `    at f${i} (${HOME}/${'x'.repeat(900)}.ts:${i + 1}:1)`);
  const error = stacked(many.join('\n'));
  error.message = 'y'.repeat(1_000_000);
  expect(authorFrames(error)).toHaveLength(10);
  expect(authorStack(error, HOME).length).toBeLessThanOrEqual(3_000);
  const circle = stacked('');
  circle.cause = circle;
  expect(authorStack(circle, HOME)).toBe('TypeError: no such city');
});

it('knows all of Millrace’s folders, and takes what its tests and benches define for an author’s', () => {
  const folders = readdirSync(PACKAGE_ROOT, { withFileTypes: true })
    .filter((each) => each.isDirectory() && existsSync(path.join(PACKAGE_ROOT, each.name, 'README.md')))
    .map(({ name }) => name)
    .filter((name) => !['bench', 'test', 'docs', 'python', 'node_modules'].includes(name));
  expect(folders.length).toBeGreaterThan(10);
  for (const folder of folders) expect(isAuthors(path.join(PACKAGE_ROOT, folder, 'x.ts')), folder).toBe(false);
  for (const file of ['test/fixtures/pipelines.mjs', 'dist/bench/x/pipelines.js', 'mine.mjs']) {
    expect(isAuthors(path.join(PACKAGE_ROOT, file)), file).toBe(true);
  }
});
