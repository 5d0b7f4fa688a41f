import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { PRESETS } from '../../../activities/connectors/http/index.js';
import { createConnectors } from '../../../activities/connectors/index.js';
import { ADVICE } from '../../../docs/reference/advice.mjs';
import {
  renderCapabilities,
  renderErrors,
  renderJson,
  renderSettings,
  withPlan,
  withWarnings,
} from '../../../docs/reference/render.mjs';
import { voiceAssistant } from '../../../pipelines/catalog/index.js';
import { ERRORS } from '../../../pipelines/errors.js';
import { WARNINGS } from '../../../pipelines/inspect/index.js';
import type { Json } from '../../../pipelines/json.js';
import { OPERATORS } from '../../../pipelines/plan/expression.js';
import { isStage } from '../../../pipelines/plan/index.js';
import { planJsonSchema } from '../../../pipelines/plan/plan-schema.js';
import { SEARCH_ATTRIBUTES } from '../../../pipelines/run/index.js';
import { STAGE_KINDS } from '../../../pipelines/stages/index.js';
import { settingsSchema } from '../../../workers/settings.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const page = (name: string): string => read(`docs/reference/${name}`);
const filesOf = (folder: string, ending: string): string[] =>
  readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => path.join(folder, file));

const STALE = 'run: npm run build && node docs/reference/generate.mjs';

describe('the reference', () => {
  it('has one sentence of advice for every error code, and none without a code', () => {
    expect(Object.keys(ADVICE).sort()).toEqual(Object.keys(ERRORS).sort());
    for (const [code, sentence] of Object.entries(ADVICE)) expect(sentence, code).toMatch(/^[A-Z`].*\.$/);
  });

  it('lists the error table as it is', () => {
    expect(page('errors.md'), STALE).toBe(renderErrors(ERRORS, ADVICE));
  });

  it('is not made of codes without advice', () => {
    const { INTERNAL: _, ...incomplete } = ADVICE;
    expect(() => renderErrors(ERRORS, incomplete)).toThrow('codes without advice: INTERNAL');
    expect(() => renderErrors(ERRORS, { ...ADVICE, GONE: 'Nothing.' })).toThrow('advice without code: GONE');
  });

  it('lists what connectors and presets can do', () => {
    const made = renderCapabilities(createConnectors(), PRESETS);
    expect(page('servers/capabilities.md'), STALE).toBe(made);
  });

  it('lists the settings as they are', () => {
    expect(page('settings.md'), STALE).toBe(renderSettings(settingsSchema));
  });

  it('shows the plan of the voice assistant as it is compiled', () => {
    expect(page('plan.md'), STALE).toBe(withPlan(page('plan.md'), voiceAssistant.plan));
    const block = /<!-- plan of voice-assistant -->\n```json\n([\s\S]*?)\n```/.exec(page('plan.md'))?.[1] ?? '';
    expect(JSON.parse(block)).toEqual(voiceAssistant.plan);
  });

  it('names every field of the plan', () => {
    const [text] = page('plan.md').split('<!-- plan of voice-assistant -->');
    const { planVersion, name, deadlineMs, version, output: _, stages } = voiceAssistant.plan;
    // The keys of `streams` are fields of an input.
    const named = stages.filter(isStage).map(({ with: options, input: __, streams = {}, ...stage }) => ({
      ...stage,
      with: options,
      streams: Object.values(streams),
    }));
    for (const key of keysOf({ planVersion, name, deadlineMs, version, stages: named } as unknown as Json)) {
      if (!key.startsWith('$')) expect(text).toMatch(new RegExp(`\`(\\w+\\.)?${key}(\\.\\w+)?\``));
    }
  });

  it('names every field, operator and kind that the schema of plans has', () => {
    const [text = ''] = page('plan.md').split('<!-- plan of voice-assistant -->');
    const schema = planJsonSchema() as { $defs: Record<string, { properties?: object }>; properties: object };
    const definitions = [schema, ...Object.values(schema.$defs)];
    const fields = new Set(definitions.flatMap(({ properties }) => Object.keys(properties ?? {})));
    expect(fields.size).toBeGreaterThan(20);
    for (const name of [...fields, ...OPERATORS, ...Object.keys(STAGE_KINDS)]) {
      expect(text, name).toMatch(new RegExp(`\`[^\`]*\\b${name}\\b[^\`]*\``));
    }
  });

  it('publishes the schema of plans as it is', () => {
    expect(page('plan.schema.json'), STALE).toBe(renderJson(planJsonSchema()));
  });

  it('lists the warnings of `millrace validate` as they are', () => {
    expect(page('dsl.md'), STALE).toBe(withWarnings(page('dsl.md'), WARNINGS));
  });

  it('names every route of the gateway', () => {
    const sources = filesOf('gateway', '.ts').map(read).join('\n');
    const routes = [...sources.matchAll(/(?:app\.\w+(?:<[^(]*>)?\(|url: )'(\/[^']+)'/g)].map(([, url = '']) => url);
    const pages = filesOf('docs/reference', '.md').map(read).join('\n');
    expect(routes.length).toBeGreaterThan(6);
    for (const url of routes) expect(pages).toContain(url.replace(/:(\w+)/g, '{$1}'));
  });
});

describe('the documents', () => {
  const documents = [...filesOf('docs', '.md'), 'README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'];

  it.each(documents)('%s links to what is there', (file) => {
    for (const [, target = ''] of read(file).matchAll(/\]\(([^)]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [name = '', anchor] = target.split('#');
      const linked = name === '' ? file : path.join(path.dirname(file), name);
      expect(existsSync(path.join(ROOT, linked)), target).toBe(true);
      if (anchor !== undefined) expect(headingsOf(read(linked)), target).toContain(anchor);
    }
  });

  it('ask Temporal by search attributes that runs have, also for the open runs of an old plan', () => {
    const queries = documents.flatMap((file) => [...read(file).matchAll(/\b(Millrace[A-Z]\w*) = "[^"]*"/g)]);
    const named = queries.map(([, name]) => name);
    expect(Object.values(SEARCH_ATTRIBUTES)).toEqual(expect.arrayContaining(named));
    // One tenant's list would not show what still needs an old worker.
    expect(read('docs/guides/deploy.md')).toContain(`${SEARCH_ATTRIBUTES.version} = "…" AND CloseTime IS NULL`);
  });

  it('name settings that exist, in the README and the guides', () => {
    const pages = documents.filter((file) => file === 'README.md' || file.startsWith(path.join('docs', 'guides')));
    const known = Object.keys(settingsSchema().shape);
    const named = pages.flatMap((file) => read(file).match(/\bMILLRACE_[A-Z0-9_]*[A-Z0-9]\b/g) ?? []);
    expect(named.length).toBeGreaterThan(50);
    expect([...new Set(named)].filter((name) => !known.includes(name))).toEqual([]);
  });

  it.each(documents)('%s names files that are there', (file) => {
    const paths = read(file).matchAll(
      /`((?:pipelines|placement|workflows|activities|gateway|workers|deploy|test|bench|docs)\/[\w./-]*)`/g,
    );
    for (const [, name = ''] of paths) expect(existsSync(path.join(ROOT, name)), name).toBe(true);
  });
});

function keysOf(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap(keysOf);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...keysOf(inner as Json)]);
}

const headingsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
