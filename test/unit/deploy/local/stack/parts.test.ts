import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { partSpec } from '../../../../../deploy/local/stack/parts.js';
import { status } from '../../../../../deploy/local/stack/status.js';
import { Supervisor } from '../../../../../deploy/local/stack/supervisor.js';
import { readSettings } from '../../../../../workers/settings.js';

let home: string;
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'parts-'));
});
afterEach(() => rmSync(home, { recursive: true }));
const settings = () => readSettings({ MILLRACE_HOME: home });

const ffmpeg = { program: '/usr/bin/ffmpeg', why: 'the first on PATH' };
const redis = { server: '/usr/bin/redis-server', version: '8.2.3', line: '8.2', why: 'as the last time' };

test('worker and gateway are told of the ffmpeg that was chosen', () => {
  for (const part of ['worker', 'gateway'] as const) {
    expect(partSpec(part, settings(), { ffmpeg })).toMatchObject({
      env: { MILLRACE_FFMPEG: '/usr/bin/ffmpeg' },
      program: 'ffmpeg /usr/bin/ffmpeg: the first on PATH',
    });
  }
});

test('the status says which program a part runs or uses', async () => {
  const specs = [partSpec('redis', settings(), { redis }), partSpec('worker', settings(), { ffmpeg })];
  const supervisor = new Supervisor(home);
  // Programs that end at once: what counts is what is recorded of them.
  supervisor.add(specs.map((spec) => ({ ...spec, command: 'true', args: [] })));
  await supervisor.stop();
  expect(status(settings()).parts.map(({ name, program }) => [name, program])).toEqual([
    ['redis', '/usr/bin/redis-server 8.2.3'],
    ['worker', 'ffmpeg /usr/bin/ffmpeg: the first on PATH'],
  ]);
});
