import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { init } from '../../../cli/init/index.js';
import { ROOT, read } from '../../support/pages.js';

afterEach(() => void vi.restoreAllMocks());

it('a project takes Millrace from the file that its first steps pack, not from a registry', async () => {
  let shown = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    shown += String(text);
    return true;
  });
  // Longer than a line of output, with a space: each step is a command to copy.
  const app = path.join(mkdtempSync(path.join(tmpdir(), 'millrace init-')), 'a'.repeat(100), 'my-app');
  await init(app);
  const { version } = JSON.parse(read('package.json')) as { version: string };
  const { dependencies } = JSON.parse(readFileSync(path.join(app, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  // `npm pack` names the file by name and version.
  expect(dependencies.millrace).toBe(`file:vendor/millrace-${version}.tgz`);
  const steps = shown.split('\n').map((line) => line.trim());
  expect(steps).toContain(`cd '${path.relative(process.cwd(), app)}'`);
  const packing = steps.findIndex((line) => line.startsWith('npm pack --pack-destination vendor '));
  expect(path.resolve(app, steps[packing]?.split(' ').at(-1) ?? '')).toBe(path.resolve(ROOT));
  expect(steps[packing - 1]).toBe('mkdir -p vendor');
  // Not every shell takes a comment: its words would be packages to install.
  expect(steps[packing + 1]).toBe('npm install');
  expect(readFileSync(path.join(app, 'README.md'), 'utf8')).toContain('packed file in `vendor/`');
});
