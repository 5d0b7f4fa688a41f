import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

it('the README shows the pipeline that is shipped', () => {
  const source = read('pipelines/catalog/voice-assistant.ts');
  expect(read('README.md')).toContain(source.slice(source.indexOf('export const')).trim());
});

it('the README names only npm scripts that exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = [...read('README.md').matchAll(/npm (?:run )?(test|[a-z]+:[a-z]+(?:-[a-z]+)*|(?<=run )[a-z]+)/g)].map(
    ([, name]) => name ?? '',
  );
  expect(named.length).toBeGreaterThan(3);
  for (const name of named) expect(Object.keys(scripts)).toContain(name);
});
