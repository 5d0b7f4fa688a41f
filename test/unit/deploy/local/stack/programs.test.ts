import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { atLeast, preparePrograms, requirePlatform } from '../../../../../deploy/local/stack/python.js';
import { script } from './fake-programs.js';

const root = mkdtempSync(path.join(tmpdir(), 'programs-'));
afterAll(() => rmSync(root, { recursive: true }));

describe('programs of the embedded servers', () => {
  it('compare versions as numbers', () => {
    expect(atLeast('8.0.2', [8, 0, 0])).toBe(true);
    expect(atLeast('7.9.9', [8, 0, 0])).toBe(false);
    expect(atLeast('1.10.0', [1, 9, 1])).toBe(true);
    expect(atLeast('1.9.0', [1, 9, 1])).toBe(false);
  });

  it('are taken from PATH when the version fits, without a venv', async () => {
    script(`${root}/old`, 'redis-server', 'echo "Redis server v=7.2.4 sha=0:0 bits=64"');
    const server = script(`${root}/new`, 'redis-server', 'echo "Redis server v=8.0.2 sha=0:0 bits=64"');
    const temporal = script(`${root}/new`, 'temporal', 'echo "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"');
    const steps: string[] = [];
    const found = await preparePrograms(['temporal', 'redis', 'worker'], {
      home: root,
      venv: path.join(root, 'venv'),
      recipe: root,
      env: { PATH: `${root}/old:${root}/new:${process.env.PATH}` },
      onStep: (step) => steps.push(step),
    });
    expect(found).toEqual({
      temporal,
      redis: { server, version: '8.0.2', line: '8.0', why: 'the first suitable one on PATH' },
    });
    expect(steps).toEqual([]);
  });

  it('name the settings for servers of one’s own where they cannot run', () => {
    expect(() => requirePlatform('linux', 'x64')).not.toThrow();
    expect(() => requirePlatform('darwin', 'arm64')).toThrow(
      /darwin arm64.*TEMPORAL_ADDRESS, REDIS_URL, TRITON_URL and LLM_BASE_URL/,
    );
  });
});
