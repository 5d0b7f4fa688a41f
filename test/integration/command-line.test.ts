import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import stringWidth from 'string-width';
import { beforeAll, describe, expect, it } from 'vitest';
import type { StackStatus } from '../../deploy/local/stack/status.js';
import type { ScheduleDocument } from '../../placement/document/index.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { testEnvironment } from '../support/settings.js';
import { CLUSTER, PIPELINE, PROFILES } from '../unit/placement/placement-files.js';

const CLI = path.resolve('dist/cli/main.js');
const QUESTION = 'deploy/local/audio/question.wav';
const COMMANDS = [
  'up',
  'down',
  'status',
  'worker',
  'gateway',
  'run',
  'resume',
  'runs',
  'pipelines',
  'settings',
  'demo',
  'doctor',
  'version',
]
  .concat([
    'validate',
    'graph',
    'explain',
    'artifacts prune',
    'apply',
    'keys create',
    'keys list',
    'keys revoke',
    'place',
    'place day',
    'place explain',
  ])
  .concat([
    'replan',
    'inventory',
    'profile',
    'optimize',
    'trace import',
    'profiles import',
    'cache clear',
    'index put',
    'index search',
    'index delete',
  ]);

/** Lines above 100 columns; a word alone stays whole. */
const tooLong = (text: string): string[] =>
  text.split('\n').filter((line) => stringWidth(line) > 100 && !/^\s*[^\s"]+$/.test(line));

/** Runs the built command as a shell would. */
function millrace(args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(CLI, args, { env: { ...process.env, ...testEnvironment(more) } }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

/** Runs it with a reader that leaves before anything is written, as `| head -0` does. */
async function unread(args: readonly string[]) {
  const child = spawn(CLI, args, {
    env: { ...process.env, ...testEnvironment() },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = await once(child, 'close');
  return { code: code as number, stderr };
}

describe('--help of millrace', () => {
  const commands = [[], ...COMMANDS.map((command) => command.split(' '))];
  /** The text and the exit code of each command. */
  let helps: string[] = [];
  beforeAll(async () => {
    // In one process: each takes a third of a second to start.
    const script = `
      for (const [i, args] of ${JSON.stringify(commands)}.entries()) {
        process.argv = [process.execPath, 'millrace', ...args, '--help'];
        await import(${JSON.stringify(pathToFileURL(CLI).href)} + '?' + i);
        process.stdout.write('\\0' + process.exitCode + '\\0');
      }`;
    const options = { env: { ...process.env, ...testEnvironment() } };
    const args = ['--input-type=module', '--eval', script];
    helps = (await promisify(execFile)(process.execPath, args, options)).stdout.split('\0');
  });

  it.each(commands.map((command, i) => [command.join(' '), i] as const))('%s: fits 100 columns', (_, i) => {
    const [text = '', code] = helps.slice(2 * i);
    expect(code).toBe('0');
    expect(text).toMatch(/^Usage: millrace/);
    expect(tooLong(text)).toEqual([]);
  });
});

describe('millrace', () => {
  it('prints its release', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    for (const args of [['--version'], ['version']])
      expect(await millrace(args)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('ends without a word where nobody reads what it prints', async () => {
    expect(await unread(['settings'])).toEqual({ code: 0, stderr: '' });
  });

  it.skipIf(process.platform !== 'linux')(
    'says on one line that its results cannot be written, as on a full disk',
    async () => {
      const full = openSync('/dev/full', 'w');
      const child = spawn(CLI, ['settings'], {
        env: { ...process.env, ...testEnvironment() },
        stdio: ['ignore', full, 'pipe'],
      });
      closeSync(full);
      let stderr = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      const [code] = await once(child, 'close');
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: 'millrace: the results cannot be written: ENOSPC: no space left on device, write\n',
      });
    },
  );

  it('ends although the module of the pipelines holds a timer, with its exit code and all that it prints', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'millrace-'));
    const module = path.join(folder, 'holding.mjs');
    const catalogue = path.resolve('dist/pipelines/catalog/index.js');
    writeFileSync(module, `export { voiceAssistant } from '${catalogue}'; setInterval(() => undefined, 1_000);`);
    const holding = { MILLRACE_PIPELINES: module, MILLRACE_KEYS: path.join(folder, 'keys.json') };
    const validated = await millrace(['validate', '--json'], holding);
    expect({ ...validated, stdout: JSON.parse(validated.stdout) }).toMatchObject({ code: 0, stdout: { ok: true } });
    const made = await millrace(['keys', 'create', '--tenant', 'acme', '--pipelines', 'voice-assistant'], holding);
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\S+\n$/) });
    expect(await millrace(['graph', 'nothing'], holding)).toMatchObject({ code: 2 });
    const gateway = await GatewayProcess.start({ MILLRACE_PIPELINES: module });
    await gateway.stop();
  });

  it('lets the module of the pipelines come to its own end', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'millrace-'));
    const module = path.join(folder, 'ending.mjs');
    const catalogue = path.resolve('dist/pipelines/catalog/index.js');
    // As a library that sends what it has gathered: it waits for an answer before it is done.
    const sent = `setTimeout(() => writeFileSync('${folder}/sent', ''), 100)`;
    writeFileSync(
      module,
      `import { writeFileSync } from 'node:fs'; export { voiceAssistant } from '${catalogue}'; process.once('beforeExit', () => ${sent});`,
    );
    expect(await millrace(['validate', '--json'], { MILLRACE_PIPELINES: module })).toMatchObject({ code: 0 });
    expect(existsSync(path.join(folder, 'sent'))).toBe(true);
  });

  it('run: asks out loud, prints the result and saves the reply', async () => {
    const out = mkdtempSync(path.join(tmpdir(), 'millrace-'));
    const { code, stdout } = await millrace(['run', 'voice-assistant', '--audio', QUESTION, '--out', out]);
    expect(code).toBe(0);
    expect(stdout).toContain('transcript: What is the capital of France?');
    expect(readdirSync(out)).toEqual([expect.stringMatching(/^voice-assistant-.*-speech\.wav$/)]);
  });

  it('run --json: one object on stdout and nothing else', async () => {
    const out = mkdtempSync(path.join(tmpdir(), 'millrace-'));
    const { code, stdout } = await millrace(['run', 'voice-assistant', '--audio', QUESTION, '--out', out, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ pipeline: 'voice-assistant', status: 'succeeded' });
  });

  it('pipelines and status: what there is', async () => {
    expect((await millrace(['pipelines'])).stdout).toMatch(/^voice-assistant\s+[0-9a-f]{12}\s+speech/m);
    const { code, stdout } = await millrace(['status', '--json']);
    const { ready, parts } = JSON.parse(stdout) as StackStatus;
    expect({ code, ready }).toEqual({ code: 0, ready: true });
    const programOf = (part: string) => parts.find(({ name }) => name === part)?.program;
    const ffmpeg = /^ffmpeg \/.*ffmpeg: the (first on PATH|embedded one: there is none on PATH)$/;
    for (const part of ['worker', 'gateway']) expect(programOf(part)).toMatch(ffmpeg);
  });

  it('run --file: sends a file for a field', async () => {
    const out = mkdtempSync(path.join(tmpdir(), 'millrace-'));
    const { code, stdout } = await millrace(['run', 'voice-assistant', '--file', `speech=${QUESTION}`, '--out', out]);
    expect(code).toBe(0);
    expect(stdout).toContain('transcript: What is the capital of France?');
    expect(tooLong(stdout)).toEqual([]);
  });

  it('up: safe to repeat, with a command for one of the pipelines', async () => {
    const { code, stderr } = await millrace(['up']);
    expect(code).toBe(0);
    const [, name] = /^Next: millrace run ([\w-]+)/m.exec(stderr) ?? [];
    expect((await millrace(['pipelines'])).stdout).toMatch(new RegExp(`^${name} `, 'm'));
    expect(stderr).not.toContain('restarting');
    expect(tooLong(stderr)).toEqual([]);
  });

  it('up: with a bad pipeline leaves what runs as it is', async () => {
    const bad = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'bad.mjs');
    const face = path.resolve('dist/pipelines/index.js');
    writeFileSync(
      bad,
      `import { pipeline } from '${face}'; export const a = pipeline('a', {}); export const b = pipeline('b', {});`,
    );
    const pids = async () =>
      (JSON.parse((await millrace(['status', '--json'])).stdout) as StackStatus).parts.map(({ pid }) => pid);
    const before = await pids();
    const { code, stderr } = await millrace(['up'], { MILLRACE_PIPELINES: bad });
    expect(code).toBe(2);
    expect(stderr).toMatch(/nothing was started or stopped\n {2}a (.|\n)*\n {2}b /);
    expect(await pids()).toEqual(before);
  });

  it('place day: a schedule from files, which explain and apply read by the hour', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'millrace-day-'));
    const file = (name: string, text: string): string => {
      writeFileSync(path.join(folder, name), text);
      return path.join(folder, name);
    };
    mkdirSync(path.join(folder, 'profiles'));
    for (const { file: name, text } of PROFILES) file(`profiles/${name}`, text);
    const cluster = ['--cluster', file('cluster.yaml', CLUSTER)];
    const files = [...cluster, '--profiles', path.join(folder, 'profiles'), '--pipeline', file('p.json', PIPELINE)];
    const demand = ['--rates', file('day.csv', 'hour,rate\n0,1\n1,20\n'), '--slo-p99', '400ms', '--time-limit', '2s'];
    const planned = await millrace(['place', 'day', ...files, ...demand, '--cold-start', 'tts=1m', '--json']);
    expect(planned.code, planned.stderr).toBe(0);
    const schedule = JSON.parse(planned.stdout) as ScheduleDocument;
    expect(schedule.hours.map(({ hour, rates }) => [hour, rates.voice])).toEqual([
      [0, 1],
      [1, 20],
    ]);
    expect(schedule.switching.coldStartS).toEqual({ whisper: 120, tts: 60 });
    const written = file('schedule.json', planned.stdout);
    const hours = await millrace(['place', 'explain', written, ...cluster]);
    expect(hours.stdout).toMatch(/^Schedule [0-9a-f]{12}: 2 hours for /);
    expect(tooLong(hours.stdout)).toEqual([]);
    const [, busy = ''] = schedule.hours.map(({ placement }) => placement);
    const one = await millrace(['place', 'explain', written, '--hour', '1', ...cluster]);
    expect(one.stdout).toMatch(new RegExp(`^Placement ${busy}: `));
    const out = ['--out', path.join(folder, 'applied'), '--dry-run', '--json'];
    const applied = await millrace(['apply', written, '--hour', '01', ...cluster, ...out]);
    expect(JSON.parse(applied.stdout)).toMatchObject({ version: busy, applied: false });
    const refused = await millrace(['apply', written, ...cluster, ...out]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('name one of its hours, from 0 to 1') });
    const other = await millrace(['place', 'day', ...files, ...demand, '--rate', '3']);
    expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining('--rate: a day has a rate for each hour') });
  });

  const notAudio = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'notes.wav');
  writeFileSync(notAudio, 'no audio at all');
  it.each<[string, readonly string[], number, string]>([
    ['an unknown command', ['fly'], 2, "unknown command 'fly'"],
    ['an unknown option', ['up', '--fast'], 2, "unknown option '--fast'"],
    ['input that is not JSON', ['run', 'voice-assistant', '--input', '{bad'], 2, 'must be a JSON object'],
    ['an unknown pipeline', ['run', 'nope', '--audio', QUESTION], 2, 'no pipeline is named "nope"'],
    ['a file that is not there', ['run', 'voice-assistant', '--audio', 'none.wav'], 2, 'cannot read none.wav'],
    ['a file that is no audio', ['run', 'voice-assistant', '--audio', notAudio], 2, 'INVALID_MEDIA'],
    ['no audio where it is needed', ['run', 'voice-assistant'], 2, 'speech'],
    ['an unknown field', ['run', 'voice-assistant', '--audio', QUESTION, '--input', '{"x":1}'], 2, 'x: unknown field'],
  ])('refuses %s, saying why', async (_, args, code, message) => {
    const refused = await millrace(args);
    expect(refused.stderr).toContain(message);
    expect(refused.code).toBe(code);
  });

  it('says that a setting is wrong, or that nothing answers, by exit code', async () => {
    const wrong = await millrace(['status'], { MILLRACE_GATEWAY_PORT: 'x' });
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('MILLRACE_GATEWAY_PORT') });
    const nobody = await millrace(['pipelines'], { MILLRACE_GATEWAY_URL: 'http://127.0.0.1:9' });
    expect(nobody).toMatchObject({ code: 3, stderr: expect.stringContaining('GATEWAY_UNAVAILABLE') });
  });
});
