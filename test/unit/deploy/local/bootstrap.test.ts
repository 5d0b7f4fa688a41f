import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const text = (file: string) => readFileSync(file, 'utf8');

it('`npm test` builds again after a change of anything that is built', () => {
  // Importing it would run it.
  const [, list = ''] = /^const SOURCES = \[(.*?)\];$/ms.exec(text('deploy/local/bootstrap.mjs')) ?? [];
  const sources = [...list.matchAll(/'([^']+)'/g)].map(([, name]) => name);
  const { include } = JSON.parse(text('tsconfig.build.json')) as { readonly include: readonly string[] };
  // The rest of `deploy` is not compiled.
  const built = include.map((folder) => (folder === 'deploy' ? 'deploy/local/stack' : folder));
  expect(sources).toEqual([...built, 'tsconfig.json', 'tsconfig.build.json']);
});
