import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scanSources } from '../../../../workers/scan/index.js';
import { parseSource } from '../../../../workers/scan/parse.js';
import { scanSource } from '../../../../workers/scan/scan-source.js';

const IMPORTS = "import { pipeline, code, tool, eq, text } from 'millrace'; import * as m from 'millrace';\n";
const scan = (source: string, file = 'pipelines.ts') => {
  const whole = `${IMPORTS}${source}`;
  return scanSource(parseSource(whole, file), whole).map(({ code, line, pipeline }) => `${pipeline}:${line} ${code}`);
};
const body = (source: string, argument = '{ input, stage, when, each, repeat, race, run }') =>
  scan(`export const p = pipeline('p', { input: z.object({}) }, (${argument}) => {\n${source}\n});`);

/* The mistakes that are found are in test/unit/first-hour; these are the forms in which they are found. */

describe('a reference is followed', () => {
  it.each([
    ['through a variable', 'const q = input.q; if (q) return {};'],
    ['through a destructured stage', "const { text: t } = stage('a', ask, {}); if (t) return {};"],
    ['through a rest', 'const { q, ...rest } = input; if (rest) return {};'],
    ['through TypeScript’s assertions', 'if ((input.q as boolean)! satisfies boolean) return {};'],
    ['through an optional chain', 'if (input?.q?.r) return {};'],
    ['through an index', "if (input.list[0]) return {}; if (input['q']) return {};", 2],
    ['into the body of a loop', "each('e', input.list, (item, i) => (item ? i : item));"],
    ['into a branch', "when('w', eq(input.q, 1), () => (input.q ? 1 : 2));"],
    ['into a contender', "race('r', { one: () => (input.q ? 1 : 2), two: () => 3 });"],
    ['into the condition of a repeat', "repeat('r', input, (s) => s, { until: (s) => !s.done, atMost: 2 });"],
    [
      'into another function',
      "const helper = () => (input.q ? 1 : 2); return { x: ['a'].map((x) => input.q && x) };",
      2,
    ],
    ['behind a plain condition', 'if (n > 1 && input.q) {} if (n > 1 || !input.q) {}', 2],
    ['from an operator', 'if (eq(input.q, 1)) return {}; if (m.size(input.q)) return {}; if (text`a`) return {};', 3],
    ['through a loop’s condition', 'while (input.q) {} for (; input.q; ) {} do {} while (input.q);', 3],
  ])('%s', (_, source, times = 1) => {
    expect(body(source)).toEqual(Array.from({ length: times }, () => 'p:3 REFERENCE_TESTED'));
  });

  it('from an argument that is not destructured', () => {
    const source = "const a = t.stage('a', ask, {}); if (t.input.q) {} if (a.text) {}";
    expect(body(source, 't')).toEqual(['p:3 REFERENCE_TESTED', 'p:3 REFERENCE_TESTED']);
  });

  it('into a function that is declared apart, in CommonJS and through a namespace', () => {
    const define = 'function define({ input }) { return input.q ? {} : {}; }';
    expect(scan(`${define}\nm.pipeline('p', { input: i }, define);`)).toEqual(['p:2 REFERENCE_TESTED']);
    const source = `const { pipeline } = require('millrace');\n${define}\nmodule.exports = { p: pipeline('p', {}, define) };`;
    expect(scanSource(parseSource(source, 'p.cjs'), source)).toMatchObject([{ code: 'REFERENCE_TESTED', line: 2 }]);
  });
});

describe('nothing is said of', () => {
  it.each([
    ['plain values in a definition', "const n = 3; if (n > 2) {} for (const x of ['a']) if (x) stage(x, ask, {});"],
    ['a name that hides a reference', 'const q = input.q; { const q = 1; if (q) {} } [1].map((q) => (q ? 1 : 2));'],
    ['a variable that is assigned again', 'let q = input.q; q = 1; if (q) {}'],
    [
      'a function of a stage',
      "stage('a', code('x', {}, ({ q }) => (q ? { at: Date.now() } : { at: new Date() })), {});",
    ],
    ['a tool', "const t = tool({ name: 't', run: ({ q }) => (q && Math.random()) });"],
    ['a field of the same name', 'const o = { input: 1, q: 2 }; if (o.input) {} if (o.q === 2) {}'],
    ['a reference as an argument, or in a structure', 'return { a: input.q, b: [input.q], c: choose(input.q) };'],
    ['a Date of a fixed time', 'return { at: new Date(0).toISOString(), n: Math.max(1, 2) };'],
    ['a global that is hidden', 'const Date = { now: () => 1 }; return { n: Date.now() };'],
    ['try … finally, and a try without stages', "try { stage('a', ask, {}); } finally {} try { check(); } catch {}"],
    [
      'types',
      "type Q = typeof input extends object ? 1 : 2; const x: Q = 1; stage('a', ask as never, {} satisfies object);",
    ],
  ])('%s', (_, source) => {
    expect(body(source)).toEqual([]);
  });

  it('what is outside of definitions, or of another pipeline()', () => {
    expect(scan('const now = Date.now(); if (process.env.X) {} let n = 0; n++;')).toEqual([]);
    const other = "import { pipeline } from 'node:stream/promises';\npipeline('a', b, ({ input }) => (input ? 1 : 2));";
    expect(scanSource(parseSource(other, 'x.mjs'), other)).toEqual([]);
    expect(scan('client ??= connect(); code("x", {}, () => { client ??= 1; count = 2; return {}; });')).toEqual([]);
  });
});

describe('the files of a module', () => {
  const folder = () => mkdtempSync(path.join(tmpdir(), 'millrace-scan-'));
  const bad =
    "import { pipeline } from 'millrace';\nexport const p = pipeline('p', {}, ({ input }) => (input.q ? 1 : 2));\n";

  it('are those that it imports by relative paths, whatever their endings', async () => {
    const at = folder();
    mkdirSync(path.join(at, 'lib'));
    writeFileSync(path.join(at, 'a.ts'), "import './lib/b.js';\nimport c from './c.json' with { type: 'json' };\n");
    writeFileSync(path.join(at, 'lib/b.ts'), bad);
    writeFileSync(path.join(at, 'c.json'), '{}');
    const found = await scanSources(path.join(at, 'a.ts'));
    expect(found).toMatchObject([{ level: 'warning', pipeline: 'p', code: 'REFERENCE_TESTED' }]);
    expect(found[0]?.at).toMatch(/lib\/b\.ts:2:52$/);
  });

  it('that cannot be parsed, or are too large, are reported and skipped', async () => {
    const at = folder();
    writeFileSync(path.join(at, 'a.mjs'), "import './b.mjs'; import './c.mjs'; import './d.mjs';\n");
    writeFileSync(path.join(at, 'b.mjs'), 'const = 1;');
    writeFileSync(path.join(at, 'c.mjs'), `// ${'x'.repeat(600_000)}\n${bad}`);
    writeFileSync(path.join(at, 'd.mjs'), bad);
    const found = await scanSources(path.join(at, 'a.mjs'));
    expect(found.map(({ code, at = '' }) => `${code} ${path.basename(at)}`).sort()).toEqual([
      'NOT_SCANNED b.mjs',
      'NOT_SCANNED c.mjs',
      'REFERENCE_TESTED d.mjs:2:52',
    ]);
    expect(found.find(({ at }) => at?.endsWith('b.mjs'))?.message).toContain(
      'it cannot be parsed: Unexpected token (1:6)',
    );
  });

  it('end at a number of files and of findings', async () => {
    const at = folder();
    const names = Array.from({ length: 300 }, (_, i) => `f${i}.mjs`);
    for (const name of names) writeFileSync(path.join(at, name), bad);
    writeFileSync(path.join(at, 'a.mjs'), names.map((name) => `import './${name}';`).join('\n'));
    expect(await scanSources(path.join(at, 'a.mjs'))).toHaveLength(100);
  });
});
