import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { clockFinding } from '../../../../cli/doctor/clock.js';
import { carryOut } from '../../../../cli/doctor/examine.js';
import { artifactsCheck, ffmpegCheck } from '../../../../cli/doctor/files-checks.js';
import { readSettings } from '../../../../workers/settings.js';

const folder = () => mkdtempSync(path.join(tmpdir(), 'millrace-'));
const artifacts = (home: string) => carryOut([artifactsCheck(readSettings({ MILLRACE_HOME: home }))]);

describe('the folder of artifacts', () => {
  it('is there or can be made', async () => {
    const home = folder();
    const [writable, space] = await artifacts(path.join(home, 'a', 'b'));
    expect(writable).toMatchObject({ id: 'artifacts.writable', state: 'ok', detail: expect.stringContaining(home) });
    expect(space).toMatchObject({ id: 'artifacts.space', detail: expect.stringMatching(/^[\d.]+ GiB free$/) });
  });

  it('cannot be made where a file is', async () => {
    const file = path.join(folder(), 'file');
    writeFileSync(file, '');
    expect(await artifacts(file)).toEqual([
      expect.objectContaining({
        id: 'artifacts.writable',
        state: 'fail',
        remedy: expect.stringContaining('MILLRACE_HOME'),
      }),
    ]);
  });

  it('has no room in a file system of size zero', async () => {
    const [, space] = await artifacts('/proc/millrace');
    expect(space).toMatchObject({ id: 'artifacts.space', state: 'fail' });
  });
});

describe('ffmpeg', () => {
  const check = (program: string) => carryOut([ffmpegCheck(readSettings({ MILLRACE_FFMPEG: program }))]);

  it('that is nowhere is a warning, which names the places', async () => {
    const home = folder();
    const [finding] = await carryOut([ffmpegCheck(readSettings({ MILLRACE_HOME: home }), home)]);
    const embedded = path.join(home, 'venv', 'bin', 'ffmpeg');
    expect(finding).toMatchObject({ about: 'ffmpeg', state: 'warn', detail: expect.stringContaining(embedded) });
  });

  it('that is missing is a warning', async () => {
    const [finding] = await check(path.join(folder(), 'ffmpeg'));
    expect(finding).toMatchObject({ id: 'media.ffmpeg', state: 'warn', detail: expect.stringContaining('WAV') });
  });

  it('that hangs and ignores every request to end is ended', async () => {
    const program = path.join(folder(), 'ffmpeg');
    const pidFile = `${program}.pid`;
    writeFileSync(program, `#!/bin/sh\ntrap '' TERM\necho $$ > ${pidFile}\nwhile :; do sleep 0.1; done\n`, {
      mode: 0o755,
    });
    const check = ffmpegCheck(readSettings({ MILLRACE_FFMPEG: program }));
    // One that starts slowly is ended before it has said who it is: then with more time.
    let pid = 0;
    for (let limitMs = 500; pid === 0; limitMs *= 2) {
      await carryOut([check], limitMs);
      pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0;
    }
    try {
      await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), 15_000);
    } catch (error) {
      process.kill(pid, 'SIGKILL');
      throw error;
    }
  });

  it('tells its version', async () => {
    const program = path.join(folder(), 'ffmpeg');
    writeFileSync(program, '#!/bin/sh\necho "ffmpeg version 7.1 Copyright"\n', { mode: 0o755 });
    expect(await check(program)).toMatchObject([{ state: 'ok', detail: 'ffmpeg version 7.1; set by MILLRACE_FFMPEG' }]);
  });
});

describe('clocks', () => {
  /** A clock that is so far ahead. */
  const at = (aheadMs: number) => ({
    time: async () => {
      const ms = Date.now() + aheadMs;
      return [String(Math.floor(ms / 1_000)), String((ms % 1_000) * 1_000)] as unknown as [number, number];
    },
  });

  it('of the same time are ok, apart by seconds a warning that says which way', async () => {
    expect((await clockFinding(at(0), 'x')).state).toBe('ok');
    expect(await clockFinding(at(5_000), 'x')).toMatchObject({
      state: 'warn',
      detail: expect.stringContaining('this machine is behind'),
    });
    expect((await clockFinding(at(-5_000), 'x')).detail).toContain('ahead');
  });
});
