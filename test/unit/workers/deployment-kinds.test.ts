import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { kindsByName } from '../../../pipelines/stages/index.js';
import { loadDeployment } from '../../../workers/pipelines.js';
import { readSettings } from '../../../workers/settings.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Inside the repository, so that modules find its packages. */
mkdirSync(path.join(ROOT, '.millrace'), { recursive: true });
const folder = mkdtempSync(path.join(ROOT, '.millrace', 'kinds-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const namesOf = async (module: string) =>
  (await loadDeployment(readSettings({}), module)).kinds.map(({ name }) => name);

it('has the kinds of its pipelines', async () => {
  expect(await namesOf('test/support/acme/pipelines.ts')).toEqual(['acme/keywords', 'acme/keywords']);
  const { kinds } = await loadDeployment(readSettings({}), 'test/support/acme/pipelines.ts');
  expect([...kindsByName(kinds).keys()]).toEqual(['acme/keywords']);
});

it('has the kinds that its module exports besides', async () => {
  const file = path.join(folder, 'pipelines.ts');
  writeFileSync(
    file,
    `export { keywords } from '${ROOT}test/support/acme/keywords.ts';
     export * from './more.ts';`,
  );
  writeFileSync(
    path.join(folder, 'more.ts'),
    `import { pipeline } from '${ROOT}pipelines/index.ts';
     import { z } from 'zod';
     export const plain = pipeline('plain', { input: z.object({ text: z.string() }) }, ({ input }) => ({ text: input.text }));`,
  );
  expect(await namesOf(file)).toEqual(['acme/keywords']);
});

it('has none without pipelines of its own', async () => {
  expect((await loadDeployment(readSettings({}))).kinds).toEqual([]);
});
