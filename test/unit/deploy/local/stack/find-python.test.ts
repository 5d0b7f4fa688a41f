import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findPython } from '../../../../../deploy/local/stack/find-python.js';
import { fakePython, script } from './fake-programs.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'python-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const find = (explicit?: string) => findPython({ explicit, searchPath: `${root}/a:${root}/b` });

describe('finding a Python', () => {
  it('takes the newest version that fits, wherever on PATH it is', async () => {
    fakePython(`${root}/a`, 'python3.10', { version: '3.10' });
    const want = fakePython(`${root}/b`, 'python3.12', { version: '3.12', libraryFolder: '/opt/lib' });
    expect(await find()).toEqual({
      kind: 'python',
      python: { executable: want, version: '3.12', libraryFolder: '/opt/lib' },
    });
  });

  it('passes over a shim that leads nowhere, a static build, one without venv and a version that is too new', async () => {
    script(`${root}/a`, 'python3.12', 'echo "pyenv: python3.12: command not found" >&2; exit 127');
    fakePython(`${root}/a`, 'python3.11', { version: '3.11', libraryFolder: null });
    fakePython(`${root}/a`, 'python3.10', { version: '3.10', venvs: false });
    fakePython(`${root}/a`, 'python3', { version: '3.13' });
    const want = fakePython(`${root}/b`, 'python3', { version: '3.11' });
    expect(await find()).toMatchObject({ python: { executable: want } });
  });

  it('falls back to uv', async () => {
    fakePython(`${root}/a`, 'python3', { version: '3.13' });
    const uv = script(`${root}/b`, 'uv', 'true');
    expect(await find()).toEqual({ kind: 'uv', uv });
  });

  it('says what it found and why it does not fit', async () => {
    const tooNew = fakePython(`${root}/a`, 'python3', { version: '3.13' });
    await expect(find()).rejects.toMatchObject({
      code: 'STACK_UNSUPPORTED',
      message: expect.stringContaining(`${tooNew} is Python 3.13`),
    });
  });

  it('takes only a version that the packages are for', async () => {
    const newer = fakePython(`${root}/a`, 'python3.12', { version: '3.12' });
    const only = (explicit?: string) => findPython({ explicit, searchPath: `${root}/a:${root}/b`, versions: ['3.11'] });
    fakePython(`${root}/b`, 'python3', { version: '3.10' });
    await expect(only()).rejects.toMatchObject({
      code: 'STACK_UNSUPPORTED',
      message: expect.stringMatching(/need Python 3\.11 with .*python3 is Python 3\.10; 3\.11 is required/),
    });
    await expect(only(newer)).rejects.toMatchObject({ code: 'INVALID_SETTING' });
    const want = fakePython(`${root}/b`, 'python3.11', { version: '3.11' });
    expect(await only()).toMatchObject({ python: { executable: want } });
  });

  it('uses the one the user names and nothing else', async () => {
    fakePython(`${root}/a`, 'python3.12', { version: '3.12' });
    const mine = fakePython(`${root}/c`, 'my-python', { version: '3.11' });
    expect(await find(mine)).toMatchObject({ python: { executable: mine } });
    const bad = fakePython(`${root}/c`, 'bad-python', { version: '3.9' });
    await expect(find(bad)).rejects.toMatchObject({ code: 'INVALID_SETTING', message: expect.stringContaining('3.9') });
  });
});
