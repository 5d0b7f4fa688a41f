import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { pipelinesCheck } from '../../../cli/doctor/pipelines-check.js';
import { up } from '../../../cli/stack.js';
import { validate } from '../../../cli/validate.js';
import type { MillraceError } from '../../../pipelines/errors.js';
import { MillraceError as ThrownError } from '../../../pipelines/errors.js';
import { fileOfPipelines, inspectDeployment, loadDeployment, requirePlaced } from '../../../workers/pipelines.js';
import { readSettings } from '../../../workers/settings.js';
import { testSettings } from '../../support/settings.js';
import { moduleWith } from '../cli/modules.js';

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = 0;
});

const define = (
  name: string,
  options = '',
  model = 'assistant',
) => `m.pipeline('${name}', { input: z.object({ q: z.string() }) }, ({ input, stage }) => ({
  text: stage('answer', m.chat({ model: '${model}' }), { prompt: input.q }, { ${options} }).text }))`;
const BAD = 'retry: { attempts: 0 }';

/** Two bad definitions, one that is not exported and is run by a third, and one that is good. */
const module = moduleWith(`
  export const first = ${define('first', BAD)};
  export const good = ${define('good')};
  const second = ${define('second', 'timeout: { attempt: "soon" }')};
  export const user = m.pipeline('user', { input: z.object({ q: z.string() }) }, ({ input, run }) => ({ text: run('x', second, { q: input.q }).text }));
`);

test('the other definitions of a module with bad ones are loaded, and each error is reported once', async () => {
  for (const _ of ['first', 'again, from the cache of modules']) {
    const { pipelines, errors } = await inspectDeployment(readSettings({}), module);
    expect(pipelines.map(({ name }) => name)).toEqual(['good']);
    expect(errors.map(({ details }) => details.pipeline)).toEqual(['first', 'second']);
    expect(errors.map(({ message }) => message)).toEqual([
      expect.stringMatching(/pipeline "first": "answer\.retry\.attempts"/),
      expect.stringMatching(/pipeline "second": "answer\.timeout\.attempt"/),
    ]);
  }
});

test('a worker and a gateway do not start with them, and say why for each', async () => {
  const error = await loadDeployment(readSettings({}), module).catch((thrown: MillraceError) => thrown);
  expect(error).toMatchObject({ code: 'INVALID_PIPELINE', message: expect.stringContaining('2 errors\n') });
  for (const name of ['first', 'second']) expect((error as MillraceError).message).toContain(`pipeline "${name}":`);
  expect((error as MillraceError).details.fields).toHaveLength(2);
});

test('a single error is reported as it is, and a definition outside of a load throws', async () => {
  const single = moduleWith(`export const a = ${define('a', BAD)}; export const b = ${define('b')};`);
  await expect(loadDeployment(readSettings({}), single)).rejects.toThrow(/^pipeline "a": "answer\.retry\.attempts"/);
  const { pipeline } = await import('../../../pipelines/index.js');
  expect(() => pipeline('x', { input: 1 as never }, () => ({}))).toThrow(ThrownError);
});

test('an error that ends the load is not hidden', async () => {
  await expect(loadDeployment(readSettings({}), moduleWith('throw new Error("no")'))).rejects.toMatchObject({
    code: 'INVALID_SETTING',
  });
});

test('every pipeline that cannot be placed is reported', async () => {
  const { pipelines } = await loadDeployment(
    readSettings({}),
    moduleWith(`export const all = [${define('a', '', 'x')}, ${define('b')}, ${define('c', '', 'y')}];`),
  );
  const poolOf = (model: string) =>
    model === 'assistant' ? { connector: 'openai', kind: 'chat', devices: ['cpu0'] } : undefined;
  expect(() => requirePlaced(pipelines, poolOf as never, 'q')).toThrow(/2 errors\n(.|\n)*"x"(.|\n)*"y"/);
});

test('validate checks the others too', async () => {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  await validate(testSettings({ MILLRACE_PIPELINES: '' }), module, { json: true });
  const { pipelines, findings, models } = JSON.parse(out);
  expect(pipelines).toEqual(['good', 'first', 'second']);
  expect(findings).toMatchObject([{ pipeline: 'first' }, { pipeline: 'second' }]);
  expect(models).toEqual([
    { pipeline: 'good', surfaces: [], why: expect.stringContaining('no input field is named messages') },
  ]);
});

test('doctor lists each', async () => {
  const settings = testSettings({ MILLRACE_PIPELINES: module });
  const check = pipelinesCheck(settings, { assistant: { connector: 'openai', endpoints: [] } } as never, new Map());
  const findings = await check.run(new AbortController().signal);
  expect(findings.map(({ about }) => about)).toEqual(['first', 'second', 'good']);
});

test('up starts nothing with them', async () => {
  const home = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-up-')), 'home');
  const settings = testSettings({ MILLRACE_PIPELINES: module, MILLRACE_HOME: home });
  await expect(up(settings, {})).rejects.toMatchObject({
    code: 'INVALID_PIPELINE',
    message: expect.stringMatching(
      /^nothing was started or stopped\n {2}first answer INVALID_PIPELINE(.|\n)* {2}second answer/,
    ),
  });
  expect(existsSync(home)).toBe(false);
});

test('the sources to scan are those of the module, else of a configuration with pipelines of its own', () => {
  const settings = readSettings({});
  const config = { ...settings.config, file: '/etc/millrace.config.ts' };
  expect(fileOfPipelines(settings)).toBeUndefined();
  expect(fileOfPipelines({ ...settings, config })).toBeUndefined();
  expect(fileOfPipelines({ ...settings, config: { ...config, pipelines: [] } })).toBe('/etc/millrace.config.ts');
  expect(fileOfPipelines({ ...settings, config, MILLRACE_PIPELINES: 'a.ts' })).toBe('a.ts');
});
