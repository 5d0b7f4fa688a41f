import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STACK_MARK } from '../../../../../deploy/local/stack/marks.js';
import type { PartName, PartSpec } from '../../../../../deploy/local/stack/part-spec.js';
import { restart } from '../../../../../deploy/local/stack/restart.js';
import { type PartRecord, readState, specsPath } from '../../../../../deploy/local/stack/stack-state.js';
import { outdatedParts } from '../../../../../deploy/local/stack/status.js';
import { Supervisor } from '../../../../../deploy/local/stack/supervisor.js';
import { writeJson } from '../../../../../runtime/json-file.js';
import { identify, markedProcesses } from '../../../../../runtime/process-identity.js';
import { freePort } from '../../../../support/free-port.js';
import { testSettings } from '../../../../support/settings.js';

let home: string;
let supervisor: Supervisor;
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'supervisor-'));
  supervisor = new Supervisor(home);
});
afterEach(async () => {
  await supervisor.stop();
  rmSync(home, { recursive: true, force: true });
});

/** A part that is a small HTTP server; `script` runs before it listens. */
async function part(name: PartName, script: string, more: Partial<PartSpec> = {}): Promise<PartSpec> {
  const port = await freePort();
  return {
    name,
    command: process.execPath,
    args: ['-e', `${script}; require('http').createServer((q, r) => r.end()).listen(${port}, '127.0.0.1')`],
    cwd: home,
    env: {},
    inherit: 'basics',
    log: path.join(home, `${name}.log`),
    needs: [],
    ports: [],
    address: '',
    probe: { kind: 'http', url: `http://127.0.0.1:${port}/` },
    startTimeoutMs: 20_000,
    stopGraceMs: 5_000,
    ...more,
  };
}

async function until(name: PartName, fits: (part: PartRecord) => boolean): Promise<PartRecord> {
  for (let i = 0; i < 1_200; i += 1) {
    const found = readState(home)?.parts.find((one) => one.name === name);
    if (found && fits(found)) return found;
    await sleep(25);
  }
  throw new Error(`${name} never got there: ${JSON.stringify(readState(home))}`);
}

describe('the supervisor', { timeout: 120_000 }, () => {
  it('starts a killed part again and counts it', async () => {
    supervisor.add([await part('redis', '')]);
    const first = await until('redis', ({ state }) => state === 'ready');
    expect(readState(home)?.ready).toBe(true);
    process.kill(first.process?.pid ?? 0, 'SIGKILL');
    const second = await until('redis', ({ state, starts }) => state === 'ready' && starts === 2);
    expect(second.process?.pid).not.toBe(first.process?.pid);
    expect(second.lastExit).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  it('ends what a killed part has started itself, as Triton’s stubs', async () => {
    const child = "require('child_process').spawn('sleep', ['60'], { stdio: 'ignore' })";
    supervisor.add([await part('triton', child)]);
    const first = await until('triton', ({ state }) => state === 'ready');
    const before = markedProcesses(STACK_MARK, home).map(({ pid }) => pid);
    expect(before).toHaveLength(2);
    process.kill(first.process?.pid ?? 0, 'SIGKILL');
    await until('triton', ({ state, starts }) => state === 'ready' && starts === 2);
    expect(before.filter((pid) => identify(pid))).toEqual([]);
  });

  it('waits for the parts that a part needs, and goes on trying one that fails', async () => {
    const flag = path.join(home, 'flag');
    supervisor.add([
      await part('worker', '', { needs: ['temporal', 'redis'] }),
      await part('temporal', `if (!require('fs').existsSync('${flag}')) process.exit(3)`),
    ]);
    const failing = await until('temporal', ({ failures }) => failures >= 2);
    expect(failing.lastExit).toMatchObject({ code: 3, signal: null });
    expect(readState(home)?.parts.find(({ name }) => name === 'worker')).toMatchObject({ state: 'waiting', starts: 0 });
    writeFileSync(flag, '');
    await until('worker', ({ state }) => state === 'ready');
  });

  it('starts a part that has worked for a while at once, whatever was before', async () => {
    const flag = path.join(home, 'flag');
    supervisor.add([await part('redis', `if (!require('fs').existsSync('${flag}')) process.exit(3)`)]);
    await until('redis', ({ failures }) => failures >= 3);
    writeFileSync(flag, '');
    const before = await until('redis', ({ state }) => state === 'ready');
    expect(before.failures).toBeGreaterThanOrEqual(3);
    await sleep(3_000);
    process.kill(before.process?.pid ?? 0, 'SIGKILL');
    const after = await until('redis', ({ state, starts }) => state === 'ready' && starts > before.starts);
    expect(after.failures).toBe(1);
  });

  it('ends a start that takes too long, and says why', async () => {
    const deaf = await part('llm', '', { args: ['-e', 'setTimeout(() => {}, 60000)'], startTimeoutMs: 300 });
    supervisor.add([deaf]);
    const failed = await until('llm', ({ failures }) => failures >= 1);
    expect(failed.lastExit).toMatchObject({ signal: 'SIGTERM', reason: 'not ready after 300 ms' });
  });

  it('keeps keys from servers and hands the environment on to Millrace’s own processes', async () => {
    process.env.LLM_API_KEY = 'very-secret';
    const show = "console.log('key=' + process.env.LLM_API_KEY)";
    supervisor.add([await part('redis', show), await part('worker', show, { inherit: 'all' })]);
    await until('redis', ({ state }) => state === 'ready');
    await until('worker', ({ state }) => state === 'ready');
    delete process.env.LLM_API_KEY;
    expect(readFileSync(path.join(home, 'redis.log'), 'utf8')).toContain('key=undefined');
    expect(readFileSync(path.join(home, 'worker.log'), 'utf8')).toContain('key=very-secret');
  });

  it('adds parts to those that run, keeps one old log, and leaves nothing when it stops', async () => {
    writeFileSync(path.join(home, 'redis.log'), 'of an earlier stack');
    const stubborn = await part('redis', "process.on('SIGTERM', () => {})", { stopGraceMs: 300 });
    supervisor.add([stubborn]);
    const redis = await until('redis', ({ state }) => state === 'ready');
    supervisor.add([stubborn, await part('llm', '')]);
    await until('llm', ({ state }) => state === 'ready');
    expect(readState(home)?.parts.find(({ name }) => name === 'redis')?.process).toEqual(redis.process);
    expect(readFileSync(path.join(home, 'redis.log.1'), 'utf8')).toBe('of an earlier stack');
    await supervisor.stop();
    expect(markedProcesses(STACK_MARK, home)).toEqual([]);
    expect(readState(home)?.parts.map(({ state }) => state)).toEqual(['stopped', 'stopped']);
    expect(existsSync(home) && readdirSync(path.join(home, 'run'))).toEqual(['state.json']);
  });
});

describe('a part that runs files which may change', () => {
  it('is outdated from their change until its next start', async () => {
    const folder = path.join(home, 'dist');
    const release = path.join(home, 'package.json');
    mkdirSync(path.join(folder, 'cli'), { recursive: true });
    writeFileSync(path.join(folder, 'cli', 'main.js'), 'one');
    writeFileSync(release, '{}');
    const module = path.join(home, 'pipelines.mjs');
    writeFileSync(module, "import './steps.mjs';");
    writeFileSync(path.join(home, 'steps.mjs'), '');
    const spec = await part('worker', '', { code: { folder, modules: [module], files: [release] } });
    writeJson(specsPath(home), [spec]);
    supervisor.add([spec]);
    const { process: first } = await until('worker', ({ state }) => state === 'ready');
    const settings = testSettings({ MILLRACE_HOME: home });
    expect(await outdatedParts(settings)).toEqual([]);
    // Not a program: it may change.
    writeFileSync(path.join(folder, 'notes.txt'), 'x');
    expect(await outdatedParts(settings)).toEqual([]);
    for (const [file, content] of [
      [path.join(folder, 'cli', 'main.js'), 'two'],
      [path.join(home, 'steps.mjs'), 'more'],
      [release, '{"version":"2"}'],
    ] as const) {
      const before = readFileSync(file);
      writeFileSync(file, content);
      expect(await outdatedParts(settings), file).toEqual(['worker']);
      writeFileSync(file, before);
      expect(await outdatedParts(settings)).toEqual([]);
    }
    writeFileSync(release, '{"version":"2"}');
    process.kill(first?.pid ?? 0, 'SIGKILL');
    await until('worker', ({ state, starts }) => state === 'ready' && starts === 2);
    expect(await outdatedParts(settings)).toEqual([]);
  });

  it('is restarted once by `restart`, which waits until it is ready', async () => {
    supervisor.add([await part('worker', '')]);
    await until('worker', ({ state }) => state === 'ready');
    const states: string[] = [];
    await restart(home, 'worker', (name, state) => states.push(`${name} ${state}`));
    const record = readState(home)?.parts.find(({ name }) => name === 'worker');
    expect(record).toMatchObject({ state: 'ready', starts: 2 });
    expect(states[0]).toBe('worker restarting');
    expect(states.at(-1)).toBe('worker ready');
  });

  it('has the grace that it was started with before `restart` kills it, and a margin', async () => {
    const slow = "process.on('SIGTERM', () => setTimeout(() => process.exit(7), 2_500))";
    const exitWith = async (stopGraceMs: number) => {
      const before = await until('worker', ({ state }) => state === 'ready');
      writeJson(specsPath(home), [{ ...spec, stopGraceMs }]);
      await restart(home, 'worker', () => undefined, 100);
      return (await until('worker', ({ starts }) => starts === before.starts + 1)).lastExit;
    };
    const spec = await part('worker', slow);
    supervisor.add([spec]);
    expect(await exitWith(20_000)).toMatchObject({ code: 7, signal: null });
    expect(await exitWith(50)).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  it('does not count as ready once it has ended, even while its last probe waits for an answer', async () => {
    let answers = true;
    const held: ServerResponse[] = [];
    const probed = createHttpServer((_, response) => {
      if (answers) response.end();
      else held.push(response);
    });
    const url = await new Promise<string>((resolve) =>
      probed.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(probed.address() as AddressInfo).port}/`)),
    );
    supervisor.add([await part('worker', '', { probe: { kind: 'http', url } })]);
    await until('worker', ({ state }) => state === 'ready');
    answers = false;
    for (let i = 0; held.length === 0 && i < 1_200; i += 1) await sleep(25);
    const restarted = restart(home, 'worker', () => undefined);
    expect(await until('worker', (record) => record.process === undefined)).toMatchObject({ state: 'backoff' });
    answers = true;
    for (const response of held) response.end();
    await restarted;
    expect(readState(home)?.parts.find(({ name }) => name === 'worker')).toMatchObject({ state: 'ready', starts: 2 });
    probed.close();
  });
});
