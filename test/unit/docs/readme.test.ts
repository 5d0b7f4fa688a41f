import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { ROOT, read } from '../../support/pages.js';

const README = read('README.md');

it('the README shows the pipeline that is shipped', () => {
  const source = read('pipelines/catalog/voice-assistant.ts');
  expect(README).toContain(source.slice(source.indexOf('export const')).trim());
});

it('the README is read in one sitting', () => {
  expect(README.split('\n').length).toBeLessThanOrEqual(151);
});

it('the README names the commands by which CI tests, and only npm scripts that exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = [...README.matchAll(/npm (?:run )?(test\b(?!:)|[a-z]+:[a-z]+(?:-[a-z]+)*|(?<=run )[a-z]+)/g)].map(
    ([, name]) => name ?? '',
  );
  for (const name of named) expect(Object.keys(scripts)).toContain(name);
  expect(named).toEqual(expect.arrayContaining(['demo', 'test', 'test:slow']));
});

it('the README names WordNet, whose notice is kept in the words taken from it', () => {
  expect(README).toContain('WordNet 3.1 (© Princeton University)');
  const [notice = ''] = read('activities/cache/verifier/thesaurus-data.ts').split('*/', 1);
  expect(notice).toMatch(/^\/\*!/);
  expect(notice).toContain('WordNet 3.1 Copyright 2011 by Princeton University. All rights reserved.');
});

it('the README links to what is there', () => {
  const links = [...README.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
  const own = links.filter((link) => !/^https?:/.test(link));
  expect(own.length).toBeGreaterThan(20);
  for (const link of own) expect(existsSync(path.join(ROOT, link)), link).toBe(true);
});
