import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { explainPipeline } from '../../../cli/explain.js';
import { graph } from '../../../cli/graph.js';
import { validate } from '../../../cli/validate.js';
import { voiceAssistant } from '../../../pipelines/catalog/index.js';
import type { Finding } from '../../../pipelines/inspect/index.js';
import { testSettings } from '../../support/settings.js';
import { moduleWith } from './modules.js';

const settings = testSettings({ MILLRACE_PIPELINES: '' });
const temporary = (name: string) => path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), name);

/** What a command writes to stdout, and the exit code that it asks for. */
async function outputOf(command: () => Promise<void>): Promise<{ out: string; exit: unknown }> {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  await command();
  return { out, exit: process.exitCode };
}
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = 0;
});

const findings = async (module: string) => {
  const { out, exit } = await outputOf(() => validate(settings, module, { json: true }));
  return { ...(JSON.parse(out) as { ok: boolean; pipelines: string[]; findings: Finding[] }), exit };
};

const PIPELINE = "m.pipeline('p', { input: z.object({ q: z.string() }) }, ({ input, stage }) => ({";

describe('millrace validate', () => {
  it('finds nothing wrong with the catalogue', async () => {
    const { out, exit } = await outputOf(() => validate(settings, undefined, { json: true }));
    expect(JSON.parse(out)).toMatchObject({ ok: true, findings: [] });
    expect(exit).toBe(0);
  });

  it('reports a definition that throws while the module is loaded', async () => {
    const module = moduleWith(
      `export const p = ${PIPELINE} x: stage('a', m.chat({ model: 'assistant' }), { prompt: input.q }, { retry: { attempts: 0 } }).text }));`,
    );
    const { ok, findings: found, exit } = await findings(module);
    expect({ ok, exit }).toEqual({ ok: false, exit: 1 });
    expect(found).toMatchObject([{ level: 'error', pipeline: 'p', stage: 'a', code: 'INVALID_PIPELINE' }]);
    expect(found[0]?.message).toMatch(/retry\.attempts must be between 1 and 100/);
  });

  it('reports every stage of every pipeline that no pool serves', async () => {
    const module = moduleWith(`
      export const p = ${PIPELINE}
        x: stage('a', m.chat({ model: 'gpt' }), { prompt: input.q }, { fallback: [m.chat({ model: 'whisper' })] }).text,
        y: stage('b', m.embed({ model: 'bge' }), { text: input.q }).embedding,
      }));
      export const r = m.pipeline('r', { input: z.object({ q: z.string(), more: z.string() }) }, ({ input, stage }) => ({
        x: stage('c', m.synthesize({ model: 'voice' }), { text: input.q }).audio,
      }));`);
    const { findings: found, pipelines, exit } = await findings(module);
    expect(pipelines).toEqual(['p', 'r']);
    expect(exit).toBe(1);
    expect(found.map(({ pipeline, stage, code }) => [pipeline, stage, code])).toEqual([
      ['p', 'a', 'MODEL_NOT_CONFIGURED'],
      ['p', 'a', 'MODEL_NOT_CONFIGURED'],
      ['p', 'b', 'MODEL_NOT_CONFIGURED'],
      ['r', 'c', 'MODEL_NOT_CONFIGURED'],
      ['r', 'input', 'UNUSED_INPUT'],
    ]);
    expect(found[0]?.remedy).toContain('name one that serves chat: assistant');
    expect(found[1]?.message).toContain('alternative');
  });

  it('reports two functions of one name in different pipelines', async () => {
    const stage = (id: string) => `m.pipeline('${id}', { input: z.object({}) }, ({ stage }) => ({
      x: stage('a', m.code('same', { input: z.object({}), output: z.object({}) }, () => ({})), {}) }))`;
    const { findings: found } = await findings(moduleWith(`export const all = [${stage('p')}, ${stage('r')}];`));
    expect(found).toMatchObject([{ level: 'error', code: 'INVALID_PIPELINE' }]);
    expect(found[0]?.message).toContain('"same"');
  });

  it('writes one line for each finding, and exits with 0 when all are warnings', async () => {
    const module = moduleWith(`export const p = ${PIPELINE} x: 1 }));`);
    const { out, exit } = await outputOf(() => validate(settings, module, {}));
    expect(out).toMatch(/^p is no OpenAI model: /m);
    expect(out.split('\n')[0]).toBe(
      'p input UNUSED_INPUT nothing reads "q" — read it, or remove it from the input’s schema',
    );
    expect(exit).toBe(0);
  });

  it('fails with a setting’s code when the module cannot be read', async () => {
    await expect(validate(settings, '/nowhere/pipelines.mjs', {})).rejects.toMatchObject({ code: 'INVALID_SETTING' });
  });

  it('checks a plan from a file', async () => {
    const file = temporary('plan.json');
    writeFileSync(file, JSON.stringify(voiceAssistant.plan));
    expect(await outputOf(() => validate(settings, undefined, { plan: file }))).toEqual({ out: '', exit: 0 });
    writeFileSync(file, JSON.stringify({ ...voiceAssistant.plan, deadlineMs: 0 }));
    const { out, exit } = await outputOf(() => validate(settings, undefined, { plan: file }));
    expect(out).toContain('voice-assistant - INVALID_PIPELINE deadlineMs');
    expect(exit).toBe(1);
    writeFileSync(file, '{');
    await expect(validate(settings, undefined, { plan: file })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});

describe('millrace graph', () => {
  it('prints Mermaid, and writes SVG into a file', async () => {
    const { out } = await outputOf(() => graph(settings, 'voice-assistant', { format: 'mermaid' }));
    expect(out).toMatch(/^flowchart LR\n/);
    const file = temporary('voice.svg');
    expect((await outputOf(() => graph(settings, 'voice-assistant', { format: 'svg', out: file }))).out).toBe('');
    expect(readFileSync(file, 'utf8')).toMatch(/^<svg xmlns/);
  });

  it('refuses an unknown pipeline, format or folder', async () => {
    const code = 'INVALID_INPUT';
    await expect(graph(settings, 'nobody', { format: 'svg' })).rejects.toMatchObject({ code });
    await expect(graph(settings, 'voice-assistant', { format: 'pdf' })).rejects.toMatchObject({ code });
    const out = '/nowhere/x.svg';
    await expect(graph(settings, 'voice-assistant', { format: 'svg', out })).rejects.toMatchObject({ code });
  });
});

describe('millrace explain', () => {
  it('prints the plan stage by stage with the pools of the models file', async () => {
    const { out } = await outputOf(() => explainPipeline(settings, 'voice-assistant', { all: true }));
    expect(out).toContain('stage transcribe (transcribe)');
    expect(out).toContain('served by    whisper (triton @cpu0)');
    expect(out).toMatch(/timeout\.attempt +10m +kind default/);
  });

  it('prints JSON', async () => {
    const { out } = await outputOf(() => explainPipeline(settings, 'voice-assistant', { json: true }));
    expect(JSON.parse(out)).toMatchObject({ pipeline: 'voice-assistant', stages: [{ id: 'transcribe' }, {}, {}] });
  });
});
