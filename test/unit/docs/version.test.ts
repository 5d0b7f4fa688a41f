import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openApiDocument } from '../../../gateway/openapi/document.js';
import { releaseOf } from '../../../workers/release.js';

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

test('package, lock file and the newest release of the changelog have one version, and each entry a date', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  expect((JSON.parse(read('package-lock.json')) as { version: string }).version).toBe(version);
  expect(releaseOf()).toBe(version);
  const entries = [...read('CHANGELOG.md').matchAll(/^## (.*)$/gm)].map(([, title = '']) => title);
  // What has not been released yet comes first, without a version.
  const released = entries[0] === 'Unreleased' ? entries.slice(1) : entries;
  expect(released[0]?.split(' ')[0]).toBe(version);
  for (const entry of released) expect(entry).toMatch(/^\d+\.\d+\.\d+ \(\d{4}-\d{2}-\d{2}\)$/);
});

test('the OpenAPI document states the release', () => {
  expect(openApiDocument([], [], releaseOf())).toMatchObject({ info: { version: releaseOf() } });
});
