import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { sourceFile } from '../../../runtime/typescript/index.js';
import { resolve } from '../../../runtime/typescript/resolve.js';
import { sourcesOf } from '../../../workers/sources.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-ts-'));
const at = (name: string) => path.join(folder, name);
beforeAll(() => {
  mkdirSync(at('tools'));
  for (const name of ['total.ts', 'both.ts', 'both.js', 'odd.mts', 'tools/index.ts']) writeFileSync(at(name), '');
});

it.each([
  ['total.ts', 'total.ts'],
  ['total.js', 'total.ts'],
  ['total', 'total.ts'],
  ['both.js', 'both.js'],
  ['odd.mjs', 'odd.mts'],
  ['tools', 'tools/index.ts'],
  ['none.js', undefined],
])('%s is the file %s', (named, file) => {
  expect(sourceFile(at(named))).toBe(file === undefined ? undefined : at(file));
});

it('relative imports of TypeScript files, and no others, are resolved to sources', async () => {
  const asked = async (specifier: string, parent: string) => {
    const context = {
      conditions: [],
      importAttributes: {},
      importAssertions: {},
      parentURL: pathToFileURL(at(parent)).href,
    };
    return (await resolve(specifier, context, (url) => ({ url, format: null }))).url;
  };
  expect(await asked('./total.js', 'pipelines.ts')).toBe(pathToFileURL(at('total.ts')).href);
  expect(await asked('./total?x', 'pipelines.ts')).toBe(`${pathToFileURL(at('total.ts')).href}?x`);
  expect(await asked('./total.js', 'pipelines.mjs')).toBe('./total.js');
  expect(await asked('zod', 'pipelines.ts')).toBe('zod');
  expect(await asked('./none.js', 'pipelines.ts')).toBe('./none.js');
});

it('a build is told apart by what its TypeScript files import', async () => {
  writeFileSync(at('pipelines.ts'), `import { total } from './total.js';\nimport type { X } from './tools';\n`);
  const builds = new Set<string>();
  for (const [file, text] of [
    ['total.ts', 'export const total = 1;'],
    ['total.ts', 'export const total = 2;'],
    ['tools/index.ts', `export { x } from '../both.ts';`],
    ['both.ts', 'export const x = 1;'],
  ] as const) {
    writeFileSync(at(file), text);
    builds.add(await sourcesOf(at('pipelines.ts')));
  }
  expect(builds.size).toBe(4);
});
